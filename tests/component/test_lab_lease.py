"""P8: one writer at a time, known by name; whoever was taken over changes nothing more."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lab import lease
from lab.errors import GatewayError, LabError
from lab.gateway import ProxyGateway
from lab.lease import held_lease, is_gone, this_process
from lab.model import Ending, Revision
from lab.ports import Event, Owner
from tests.lab_world import ME, ROOT, Fleet, ProcessEngine, ProxyProcess, Tap, command, new_fleet, proxy_process
from tests.proxy_world import PATIENCE, TOKEN, eventually


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxyProcess]:
    """One for all tests: each gives the lease back, or lets it run out."""
    with proxy_process(tmp_path_factory.mktemp("shared")) as process:
        yield process


@asynccontextmanager
async def held_by(proxy: ProxyProcess, owner: Owner, ttl: float = 60) -> AsyncIterator[ProxyGateway]:
    async with proxy.gateway() as gateway:
        await gateway.take_lease(owner, ttl)
        try:
            yield gateway
        finally:
            with suppress(GatewayError):
                await gateway.give_back_lease()


@contextmanager
def holder(proxy: ProxyProcess, home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another command that holds the lease, and its fence."""
    with subprocess.Popen(command("hold", proxy.url, home), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().removeprefix("held "))
        finally:
            process.kill()


async def fence_of(proxy: ProxyProcess) -> int:
    """Take the lease as whoever comes next does, and give it back."""
    async with proxy.gateway() as gateway, held_lease(gateway, Path("/home/x")):
        return gateway.fence


async def test_a_second_holder_is_refused_with_the_name_of_the_first(proxy: ProxyProcess, tmp_path: Path) -> None:
    with holder(proxy, tmp_path) as (process, fence):
        with pytest.raises(LabError) as failure:
            await fence_of(proxy)
        assert failure.value.id == "lease-held"
        assert f"pid {process.pid}" in failure.value.what
        assert f"hold {proxy.url}" in failure.value.what
        assert f"from the checkout {tmp_path}" in failure.value.what
        async with proxy.gateway() as gateway:
            held = (await gateway.routing()).lease
    assert held is not None
    assert (held.fence, held.owner.pid) == (fence, process.pid)


async def test_the_lease_is_given_back_at_the_end_and_the_fence_only_rises(proxy: ProxyProcess) -> None:
    fences = [await fence_of(proxy) for _ in range(3)]
    assert fences == sorted(set(fences))
    async with proxy.gateway() as gateway:
        assert (await gateway.routing()).lease is None


async def test_it_is_given_back_when_its_holder_fails(proxy: ProxyProcess) -> None:
    async with proxy.gateway() as gateway:
        with pytest.raises(ZeroDivisionError):
            async with held_lease(gateway, Path("/home/x")):
                raise ZeroDivisionError
        assert (await gateway.routing()).lease is None


@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "still a zombie"])
async def test_a_killed_holder_is_taken_over_at_once(proxy: ProxyProcess, tmp_path: Path, reaped: bool) -> None:
    with holder(proxy, tmp_path) as (process, fence):
        process.kill()
        if reaped:
            process.wait(PATIENCE)
        else:
            leave_unreaped(process.pid)
        async with asyncio.timeout(lease.TTL_SECONDS / 3):
            assert await fence_of(proxy) == fence + 1


def leave_unreaped(pid: int) -> None:
    """Wait for its end as nobody's parent does: it keeps its place in the table of processes."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def test_a_holder_of_an_earlier_boot_is_taken_over(proxy: ProxyProcess) -> None:
    async with held_by(proxy, replace(this_process(Path("/home/x")), boot="before")) as other:
        assert await fence_of(proxy) == other.fence + 1


async def test_another_process_of_the_same_number_is_not_the_holder(proxy: ProxyProcess) -> None:
    async with held_by(proxy, replace(this_process(Path("/home/x")), start="earlier")) as other:
        assert await fence_of(proxy) == other.fence + 1


async def test_a_holder_on_another_host_is_never_surely_gone(proxy: ProxyProcess) -> None:
    elsewhere = replace(this_process(Path("/home/x")), host="elsewhere", boot="other", pid=2**22 + 1)
    async with held_by(proxy, elsewhere):
        with pytest.raises(LabError, match="on elsewhere"):
            await fence_of(proxy)


async def test_a_lease_that_ran_out_is_taken_wherever_its_holder_was(proxy: ProxyProcess) -> None:
    async with held_by(proxy, replace(ME, host="elsewhere"), ttl=0.05) as other:
        async with asyncio.timeout(PATIENCE):
            while (await other.routing()).lease:
                pass
        assert await fence_of(proxy) == other.fence + 1


def test_this_very_process_is_not_gone() -> None:
    assert not is_gone(this_process(Path("/home/x")))


async def test_the_lease_is_renewed_for_as_long_as_it_is_held(
    proxy: ProxyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "TTL_SECONDS", 0.3)
    async with Tap(proxy.url).listening() as tap, ProxyGateway(tap.url, TOKEN) as gateway:
        async with held_lease(gateway, Path("/home/x")):
            await eventually(lambda: len(tap.said("POST", "/v1/lease")) >= 6)
            held = (await gateway.routing()).lease
        assert held is not None
        assert {e.answered["fence"] for e in tap.said("POST", "/v1/lease")} == {held.fence}
        assert tap.misshapen() == []


# after a takeover


async def test_whoever_was_taken_over_changes_no_route(proxy: ProxyProcess) -> None:
    async with held_by(proxy, ME) as first, taken_over(proxy, first) as second:
        assert second.fence == first.fence + 1
        epoch = (await second.routing()).epoch
        for change in (first.admit, first.restore):
            with pytest.raises(GatewayError) as failure:
                await change("app-1.1")
            assert failure.value.id == "stale-fence"
        with pytest.raises(GatewayError) as failure:
            await first.routing()
        assert failure.value.id == "stale-fence"
        assert (await second.routing()).epoch == epoch


async def test_giving_back_what_was_taken_over_leaves_the_new_holder_alone(proxy: ProxyProcess) -> None:
    async with held_by(proxy, ME) as first, taken_over(proxy, first) as second:
        with suppress(GatewayError):
            await first.give_back_lease()
        held = (await second.routing()).lease
        assert held is not None
        assert held.fence == second.fence


async def test_a_controller_whose_lease_was_taken_over_pauses_and_starts_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as (fleet, first, second):
        before = await fleet.standing(first)
        await second.take_lease(ME, 60, replace_fence=first.fence)
        ended = await fleet.roll(first, 2, 1)
        assert ended.ending is Ending.PAUSED_BY_ENVIRONMENT
        assert "taken this lab over" in ended.reason
        assert await fleet.standing(second) == before
        assert fleet.engine.ever_created() == ["app-1.1", "app-2.1"]


async def test_a_controller_taken_over_in_the_middle_of_an_act_does_nothing_after_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (fleet, first, second):

        class TakenOver(ProcessEngine):
            async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
                await second.take_lease(ME, 60, replace_fence=first.fence)
                return await super().create(revision, name=name, slot=slot, generation=generation)

        fleet.engine = TakenOver(tmp_path / "fleet", fleet.port)
        events: list[Event] = []
        ended = await fleet.roll(first, 2, 1, on_event=events.append)
        assert ended.ending is Ending.PAUSED_BY_ENVIRONMENT
        assert {e.data["verb"] for e in events if e.type == "act-intended"} <= {"create", "start"}
        assert [route.name for route in (await second.routing()).routes] == ["app-1.1", "app-2.1"]


@asynccontextmanager
async def taken_over(proxy: ProxyProcess, first: ProxyGateway) -> AsyncIterator[ProxyGateway]:
    async with proxy.gateway() as second:
        await second.take_lease(ME, 60, replace_fence=first.fence)
        yield second
        await second.give_back_lease()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Fleet, ProxyGateway, ProxyGateway]]:
    """A fleet of v1, whoever brought it up and holds the lease, and another."""
    with proxy_process(folder) as proxy, new_fleet(folder) as fleet:
        async with proxy.gateway() as first, proxy.gateway() as second:
            await first.take_lease(ME, 60)
            assert (await fleet.roll(first, 1)).ending is Ending.DONE
            yield fleet, first, second
