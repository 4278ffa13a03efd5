"""Gates over the real proxy and real processes: a version that passes every probe is judged by what it answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lab.controller import Ended
from lab.gates import Gate, Measure
from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.model import Ending
from lab.ports import Event
from lab.proof.answers import Answer
from tests.lab_world import Fleet, new_fleet, proxy_process
from tests.proxy_world import Load

V1, V2, ANSWERS_ERRORS, DIES_AFTER_READY = 1, 2, 5, 6
CLIENTS = 6
ERRORS = Gate(measure=Measure.ERROR_RATIO, limit=0.05, minimum=30)
SERVING_V1 = [("v1", "running", "ready")] * 2


@asynccontextmanager
async def under_traffic(folder: Path) -> AsyncIterator[tuple[Fleet, ProxyGateway, Load]]:
    """A fleet of v1 in rotation, and clients that count whatever is not answered well."""
    with proxy_process(folder) as proxy, new_fleet(folder) as fleet:
        async with proxy.gateway() as gateway, held_lease(gateway, folder):
            assert (await fleet.roll(gateway, V1)).ending is Ending.DONE
            load = Load(proxy.port, CLIENTS)
            async with load.running():
                yield fleet, gateway, load
            assert [d for it in (await fleet.replayed()).values() for d in it.differences] == []


async def test_a_version_that_answers_errors_is_stopped_by_its_gate_after_its_first_wave(tmp_path: Path) -> None:
    async with under_traffic(tmp_path) as (fleet, gateway, _):
        events: list[Event] = []
        ended = await fleet.roll(gateway, ANSWERS_ERRORS, V1, gates=(ERRORS,), bake=5.0, on_event=events.append)

        assert ended.ending is Ending.ROLLED_BACK
        assert await fleet.standing(gateway) == SERVING_V1
    counted, reason = told(events, ended)
    bad = [e.data for e in events if e.type == "act-done" and e.data["revision"] == ANSWERS_ERRORS]
    assert {act["replica"] for act in bad if act["verb"] == "start"} == {"app-1.2"}
    requests, errors = counted
    assert requests >= ERRORS.minimum
    # every third; a request that came before an error may be answered after it
    assert requests // 3 <= errors <= (requests + CLIENTS) // 3
    assert reason == f"error-ratio {errors / requests:.2%} ({errors} of {requests} requests), limit 5.00%"


def told(events: list[Event], ended: Ended) -> tuple[tuple[int, int], str]:
    """(requests, errors) that the reason names, and the reason, which the journal has as well."""
    (failed,) = [e.data for e in events if e.type == "version-failed"]
    assert failed["reason"] == ended.reason
    errors, _, requests, *_ = ended.reason.partition("(")[2].split()
    return (int(requests), int(errors)), ended.reason


async def test_what_the_gate_counts_is_what_the_app_s_own_log_says(tmp_path: Path) -> None:
    """The saboteur of how errors are reported: the app tells nobody but its own log, and its clients."""
    async with under_traffic(tmp_path) as (fleet, gateway, load):
        ended = await fleet.roll(gateway, ANSWERS_ERRORS, V1, gates=(ERRORS,), bake=5.0)
        assert ended.ending is Ending.ROLLED_BACK
    requests, errors = (fleet.engine.said("app-1.2", line) for line in ("request", "error"))
    # the replica is gone after its last answer: nothing of it is left uncounted
    assert fleet.traffic.counted(ANSWERS_ERRORS) == (requests, errors)
    assert errors == requests // 3 == len(load.bad) > 5


async def test_too_few_requests_are_waited_for_and_then_pause_the_rollout(tmp_path: Path) -> None:
    async with under_traffic(tmp_path) as (fleet, gateway, load):
        gate = Gate(measure=Measure.ERROR_RATIO, limit=0.05, minimum=100_000)
        waited: list[Event] = []
        ended = await fleet.roll(
            gateway, V2, V1, gates=(gate,), wave_bake=0.3, gate_patience=0.7, on_event=waited.append
        )

        assert ended.ending is Ending.PAUSED
        assert "100000 are needed" in ended.reason
        assert ended.reason.startswith("inconclusive: error-ratio: ")
        assert not [e for e in waited if e.type == "phase-changed" and e.data["happening"] in {"baked", "reached"}]
        baking, paused = [e.t_ns for e in waited if e.type == "phase-changed"]
        assert (paused - baking) / 1e9 >= 1.0
        # the one for the next wave is made and was never started
        standing = [(version, container) for version, container, _ in await fleet.standing(gateway)]
        assert sorted(standing) == [("v1", "running"), ("v2", "created"), ("v2", "running")]
        assert not [e for e in waited if e.type == "version-failed"]
    assert load.bad == []


class Feed:
    """What a load would print that met so many drops."""

    def __init__(self, load: Load) -> None:
        self._load = load

    @property
    def tick(self) -> dict[str, int]:
        return {"finished": 1000, "failed": len(self._load.bad)}

    def take_answers(self) -> list[Answer]:
        return []


async def test_what_the_load_s_users_felt_turns_a_version_back_and_is_decided_the_same_again(tmp_path: Path) -> None:
    """`under_traffic` replays what was recorded: without the feelings in it the decisions would differ."""
    async with under_traffic(tmp_path) as (fleet, gateway, load):
        gate = Gate(measure=Measure.DROPPED, limit=0, minimum=30)
        ended = await fleet.roll(gateway, ANSWERS_ERRORS, V1, gates=(gate,), bake=5.0, feed=Feed(load))
        assert ended.ending is Ending.ROLLED_BACK
        assert ended.reason.startswith("dropped ")
        assert await fleet.standing(gateway) == SERVING_V1


async def test_a_version_that_dies_after_it_was_ready_is_taken_back_and_its_deaths_are_the_reason(
    tmp_path: Path,
) -> None:
    async with under_traffic(tmp_path) as (fleet, gateway, _):
        ended = await fleet.roll(gateway, DIES_AFTER_READY, V1, restarts=1, bake=5.0)

        assert ended.ending is Ending.ROLLED_BACK
        assert ended.reason.endswith("died after it was ready, 2 deaths in its slot")
        assert await fleet.standing(gateway) == SERVING_V1
