"""P8: whoever was taken over changes nothing more. A proxy that forgets its fences, and a lease that anybody gets."""

from contextlib import suppress
from pathlib import Path

import pytest

from lab.errors import GatewayError, LabError
from lab.gateway import ProxyGateway
from lab.lease import held_lease
from proxy.lease import Leases
from tests.lab_world import ME
from tests.proxy_world import TOKEN, world


async def place_after_a_stale_change(folder: Path) -> str:
    """The check: where a replica is after one who was taken over has tried to retire it."""
    async with world(folder) as lab:
        replica = await lab.serve("app-1.1")
        url = f"http://127.0.0.1:{lab.server.admin_port}"
        async with ProxyGateway(url, TOKEN) as first, ProxyGateway(url, TOKEN) as second:
            await first.take_lease(ME, 60, replace_fence=lab.fence)
            await second.take_lease(ME, 60, replace_fence=first.fence)
            with suppress(GatewayError):
                await first.retire("app-1.1", drain_timeout=10)
        return str((await lab.seen(replica))["place"])


async def writers_at_once(folder: Path) -> int:
    """The check: how many of two commands hold the lease at the same time."""
    async with world(folder) as lab:
        await lab.change("DELETE", "/v1/lease")
        url = f"http://127.0.0.1:{lab.server.admin_port}"
        first, second = ProxyGateway(url, TOKEN), ProxyGateway(url, TOKEN)
        async with first, second, held_lease(first, folder):
            with suppress(LabError):
                async with held_lease(second, folder):
                    return 2
            return 1


async def test_a_stale_writer_changes_nothing(tmp_path: Path) -> None:
    assert await place_after_a_stale_change(tmp_path) == "ready"


async def test_a_proxy_without_fences_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Leases, "check", lambda *_: None)
    assert await place_after_a_stale_change(tmp_path) in {"draining", "removable"}


async def test_there_is_one_writer(tmp_path: Path) -> None:
    assert await writers_at_once(tmp_path) == 1


async def test_a_lease_that_anybody_gets_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Leases, "live", lambda *_: None)
    assert await writers_at_once(tmp_path) == 2
