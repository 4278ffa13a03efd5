"""`lab status --wait-for`: when it is there, when it cannot come any more, and what is said meanwhile."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from lab.errors import GatewayError, LabError
from lab.operations.wait_for import Clock, wait_for
from lab.view import FleetView, ReplicaView, RolloutView


def fleet(*versions: str, states: Sequence[str] = (), wanted: int = 2, rollout: RolloutView | None = None) -> FleetView:
    """The last version is the fleet's own."""
    shown = [*states, *["ready"] * len(versions)]
    replicas = tuple(
        ReplicaView(name=f"app-{n}.1", version=version, state=state, in_flight=0, info="")
        for n, (version, state) in enumerate(zip(versions, shown, strict=False), 1)
    )
    return FleetView(
        project="default",
        phase="rolling" if rollout else "idle",
        version=versions[-1],
        replicas_wanted=wanted,
        ready=sum(r.state == "ready" for r in replicas),
        schema_phase=None,
        url="http://127.0.0.1:8080",
        replicas=replicas,
        rollout=rollout,
    )


ROLL = RolloutView(run="r1", kind="roll", to="v2", stage="rolling", pid=7)
LOAD = RolloutView(run="r1", kind="load", to="", stage="begun", pid=7)
OLD, NEW = fleet("v1", "v1"), fleet("v2", "v2")
HALF = fleet("v2", "v1", rollout=ROLL)
PAUSED = replace(HALF, phase="paused", rollout=replace(ROLL, reason="asked by an operator"))
LEFT = fleet("v2", "v1", rollout=replace(ROLL, pid=None))
GONE = GatewayError(id="lab-not-up", what="proxy does not run")


@dataclass
class Course:
    """The looks one after the other, the last for ever; time passes only while it sleeps."""

    looks: list[FleetView | LabError]
    now: float = 0.0
    said: list[str] = field(default_factory=list)

    async def look(self) -> FleetView:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, LabError):
            raise found
        return found

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, goal: str, within: float = 30.0) -> FleetView:
        clock = Clock(now=lambda: self.now, sleep=self.sleep)
        told = lambda _, why, left: self.said.append(f"{why}, {left:.0f}s left")  # noqa: E731  one line of a fake
        return asyncio.run(wait_for(self.look, goal, within=within, say=told, clock=clock))


@pytest.mark.parametrize(
    ("goal", "looks"),
    [
        ("idle", [HALF, HALF, OLD]),
        ("idle", [fleet("v1", "v1", states=["ejected"])]),  # nothing is under way, be it whole or not
        ("paused", [HALF, PAUSED]),
        ("paused", [OLD, HALF, PAUSED]),  # it begins while somebody waits
        ("paused", [replace(LEFT, rollout=replace(ROLL, stage="paused", pid=None))]),
        ("stable", [fleet("v1", "v1", states=["ejected"]), OLD]),
        ("stable", [fleet("v1"), OLD]),  # one is missing
        ("stable", [fleet("v1", "v1", "v1"), OLD]),  # one too many
        ("stable", [replace(OLD, rollout=LOAD)]),
        ("v2", [OLD, HALF, NEW]),
        ("v2", [HALF, LEFT, HALF, NEW]),  # one look alone may be of the moment in which a command begins
        ("v2", [HALF, GONE, GONE, NEW]),  # the proxy came back
    ],
)
def test_it_is_shown_as_soon_as_it_is_there(goal: str, looks: list[FleetView | LabError]) -> None:
    last = looks[-1]

    assert Course(looks).wait(goal) is last


@pytest.mark.parametrize(
    ("goal", "looks", "why"),
    [
        ("v2", [HALF, OLD], "all 2 replicas run v1"),  # it was taken back
        ("v2", [HALF, PAUSED], "the roll to v2 is paused (asked by an operator), 1 of 2 replicas run v2, and waits"),
        ("idle", [HALF, LEFT], "1 of 2 replicas run v2, and nobody runs it"),
        ("idle", [replace(NEW, rollout=replace(ROLL, stage="unjudged", pid=None))], "is over and not judged yet"),
        ("stable", [LEFT], "and nobody runs it"),
        ("paused", [HALF, NEW], "the rollout ended; 2 of 2 replicas are ready"),
        ("paused", [LEFT], "and nobody runs it"),
    ],
)
def test_what_came_to_rest_elsewhere_is_the_answer_no_at_once(
    goal: str, looks: list[FleetView | LabError], why: str
) -> None:
    course = Course(looks)

    with pytest.raises(LabError) as caught:
        course.wait(goal)

    assert (caught.value.id, caught.value.exit_code) == ("ended-elsewhere", 1)
    assert why in caught.value.what
    assert caught.value.fix.startswith("lab status; lab report")
    assert course.now < 2


@pytest.mark.parametrize(
    ("goal", "look", "why"),
    [
        ("v2", OLD, "waited 30 s for v2, in vain: all 2 replicas run v1"),
        ("paused", OLD, "in vain: nothing is under way"),
        ("idle", replace(OLD, rollout=LOAD), "in vain: the load of r1 is under way"),
        ("stable", fleet("v1", "v1", states=["draining"]), "in vain: app-1.1 of v1 is draining"),
        ("stable", fleet("v1"), "in vain: 1 of 2 replicas are ready: lab up repairs it"),
    ],
)
def test_what_does_not_come_in_time_is_no_verdict_with_its_reason(goal: str, look: FleetView, why: str) -> None:
    course = Course([look])

    with pytest.raises(LabError) as caught:
        course.wait(goal)

    assert (caught.value.id, caught.value.exit_code) == ("not-reached", 4)
    assert why in caught.value.what
    assert "--timeout" in caught.value.fix
    assert course.now == pytest.approx(30)


def test_meanwhile_each_change_is_said_and_a_beat_every_ten_seconds() -> None:
    course = Course([*[OLD] * 30, *[HALF] * 3, NEW])
    course.wait("v2")

    assert course.said == [
        "all 2 replicas run v1, 30s left",
        "all 2 replicas run v1, 20s left",
        "the roll to v2 is rolling, 1 of 2 replicas run v2, 18s left",
    ]


def test_a_lab_that_is_not_up_is_not_waited_for() -> None:
    with pytest.raises(GatewayError, match="proxy does not run"):
        Course([GONE]).wait("idle")
