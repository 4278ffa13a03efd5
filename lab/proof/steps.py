"""Which step of the controller, and which schema phase, an instant belongs to."""

from collections.abc import Callable

from lab.proof.records import RunFacts, Step

# a cut connection is noticed a moment after the stop that cut it was reported as over
AFTERMATH_NS = 500_000_000

SCHEMA_STEP = "schema "  # and the phase it leads to


def step_at(facts: RunFacts, t: int, replica: str | None) -> str | None:
    """What the controller was doing then; both where an edge is nearer than the clocks can tell."""
    return _either(facts, t, lambda at: _step_at(facts, at, replica))


def phase_at(facts: RunFacts, t: int) -> str:
    """The phase of the schema then; both where an edge is nearer than the clocks can tell."""
    return _either(facts, t, lambda at: _phase_at(facts, at)) or "unknown"


def _either(facts: RunFacts, t: int, told: Callable[[int], str | None]) -> str | None:
    error = facts.clock_error_ns
    if not error:
        return told(t)
    names = dict.fromkeys(name for at in (t - error, t, t + error) if (name := told(at)) is not None)
    return f"{' or '.join(names)}, undecided" if len(names) > 1 else next(iter(names), None)


def _step_at(facts: RunFacts, t: int, replica: str | None) -> str | None:
    """The step on that replica, else the fleet's, else what was done last; outside the roll, that it was outside."""
    own = [step for step in facts.steps if replica is not None and step.replica == replica]
    fleet = [step for step in facts.steps if step.replica is None]
    step = _latest(own, t, after_ns=0) or _latest(own, t, after_ns=AFTERMATH_NS) or _latest(fleet, t, after_ns=0)
    if step is not None:
        return step.name
    if t < facts.started_ns:
        return "before the roll"
    if t > facts.ended_ns:
        return "after the roll"
    over = _last_over(own, t) or _last_over(fleet, t)
    if over is not None:
        return f"after {over.name}"
    nearest = min(fleet or facts.steps, key=lambda step: _distance(step, t), default=None)
    return None if nearest is None else nearest.name


def under_way(facts: RunFacts, t: int) -> tuple[str, ...]:
    """Every act of the controller at that instant, the first begun first: `drain app-1.1`."""
    error = facts.clock_error_ns or 0
    near = (step for step in facts.steps if step.start_ns - error <= t <= step.end_ns + error)
    return tuple(_act(step, t, error) for step in sorted(near, key=lambda step: step.start_ns))


def _act(step: Step, t: int, error: int) -> str:
    name = f"{step.name} {step.replica}" if step.replica else step.name
    sure = step.start_ns + error <= t <= step.end_ns - error or not error
    return name if sure else f"{name} (undecided)"


def _phase_at(facts: RunFacts, t: int) -> str:
    """The phase that the last schema step before that instant led to; both phases while a step goes on."""
    phase = facts.schema_before or "unknown"
    steps = [step for step in facts.steps if step.name.startswith(SCHEMA_STEP)]
    for step in sorted(steps, key=lambda step: step.start_ns):
        if t < step.start_ns:
            return phase
        led_to = step.name.removeprefix(SCHEMA_STEP)
        if t < step.end_ns:
            return f"{phase} -> {led_to}"
        phase = led_to
    return phase


def _latest(steps: list[Step], t: int, *, after_ns: int) -> Step | None:
    going_on = [step for step in steps if step.start_ns <= t <= step.end_ns + after_ns]
    return max(going_on, key=lambda step: step.start_ns, default=None)


def _last_over(steps: list[Step], t: int) -> Step | None:
    return max((step for step in steps if step.end_ns <= t), key=lambda step: step.end_ns, default=None)


def _distance(step: Step, t: int) -> int:
    return max(step.start_ns - t, t - step.end_ns, 0)
