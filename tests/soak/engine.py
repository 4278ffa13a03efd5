"""`make soak-engine`: the rollout engine on virtual time. Prints one line per part; what broke is named by its seed.

* fleets: 20 random steps of roll, rollback, scale, pause and resume, and half the replicas killed, per seed; each ends
  complete
* rollouts: any fleet, budgets, faults, commands and crashes, per seed
* crashes: killed at every point, and killed again at every point of the recovery
"""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

from lab.model import Command, Ending, RolloutSpec, Strategy
from tests.engine_world import NEW, OLD, Trial, any_trial, put_through, spec_of
from tests.steps import Step, What, steps

FLEETS, ROLLOUTS, STEPS = 500, 20_000, 20
WAYS = ((Strategy.WAVES, 1, 1), (Strategy.ROLLING, 1, 1), (Strategy.RECREATE, 0, 2))


def main() -> int:
    parts: dict[str, Callable[[], tuple[int, list[str]]]] = {
        "fleets": _fleets,
        "rollouts": _rollouts,
        "crashes": _crashes,
    }
    return 1 if sum(_part(name, run) for name, run in parts.items()) else 0


def _part(name: str, run: Callable[[], tuple[int, list[str]]]) -> int:
    began = time.monotonic()
    many, broken = run()
    took = time.monotonic() - began
    print(f"soak engine {name}: {many} run, {len(broken)} broken, {took:.0f} s", flush=True)
    for line in broken[:10]:
        print(f"  {line}", flush=True)
    return len(broken)


def _fleets() -> tuple[int, list[str]]:
    return FLEETS, [f"seed {seed}: {found}" for seed in range(FLEETS) if (found := fleet(seed))]


def fleet(seed: int, many: int = STEPS) -> list[str]:
    """One fleet's life: each step goes on with what the one before left. Which promises it broke."""
    rng = Random(seed)
    it = Trial(spec=spec_of(rng.randint(1, 6), 1, 0), chaos=True)
    now = OLD
    for number, step in enumerate(steps(rng, many, most=8)):
        asks = {1 + int(step.moment * 25): (COMMANDS[step.what], step.replicas)} if step.what in COMMANDS else {}
        if step.what is What.KILL:
            for name in step.victims([r.name for r in it.world.replicas_now()]):
                it.world.kill(name)
        to = NEW if now == OLD else OLD
        it = _next(it, number, _spec(step, it.size, to), asks)
        try:
            ended = it.roll()
            it.check_end(ended)
        except (AssertionError, RuntimeError) as error:
            return [f"step {number}, {step.what}: {error}"]
        if it.violations or ended.ending not in {Ending.DONE, Ending.ROLLED_BACK}:
            return [f"step {number}, {step.what}: {ended.ending} {ended.reason}", *it.violations]
        now = to if ended.ending is Ending.DONE else now
        if it.versions() != [f"v{now}"] * it.size:
            return [f"step {number}, {step.what}: {it.versions()} instead of v{now}"]
    return []


COMMANDS = {What.ROLLBACK: Command.ROLLBACK, What.SCALE: Command.SCALE, What.PAUSE: Command.PAUSE}
"""One that is paused is resumed as soon as nothing else is to happen (tests/engine_world.py)."""


def _spec(step: Step, size: int, to: int) -> RolloutSpec:
    return replace(spec_of(size, step.surge_of(size), step.unavailable), target=to)


def _next(it: Trial, step: int, spec: RolloutSpec, asks: dict[int, tuple[Command, int | None]]) -> Trial:
    """Another rollout of the same fleet, in the same world and the same journal."""
    new = Trial(spec=spec, asks=dict(asks), chaos=True, run_name=f"step-{step}")
    new.world, new.journal = it.world, it.journal
    new._hook()
    return new


def _rollouts() -> tuple[int, list[str]]:
    found = ((seed, put_through(any_trial(Random(seed)))) for seed in range(ROLLOUTS))
    return ROLLOUTS, [f"seed {seed}: {broken}" for seed, broken in found if broken]


def _crashes() -> tuple[int, list[str]]:
    many, broken = 0, []
    for strategy, surge, unavailable in WAYS:
        spec = spec_of(2, surge, unavailable, strategy=strategy)
        whole = Trial(spec=spec)
        put_through(whole)
        for first in range(1, len(whole.points) + 1):
            for second in range(1, len(whole.points) - first + 2):
                it = Trial(spec=spec, crashes=[first, second])
                found = put_through(it)
                many += 1
                if found or it.phase is not Ending.DONE or it.versions() != ["v2"] * 2:
                    broken.append(f"{strategy}, killed at {first} and {second}: {it.phase} {found}")
    return many, broken


if __name__ == "__main__":
    sys.exit(main())
