"""The checks of P1 must fail when P1 is broken: a drain whose wait is skipped, a table that goes on claiming."""

from pathlib import Path

import pytest

from proxy.routing import RoutingTable
from proxy.transitions import Place
from tests.component.test_proxy_drain import roll_twenty_times
from tests.proxy_world import get, send, world


async def test_stopping_right_after_the_acknowledgement_is_seen_by_the_clients(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        load = await roll_twenty_times(lab, wait_for_removable=False, work_seconds=0.05)
        assert load.bad, "the load saw nothing although every drain was skipped: it measures nothing"


async def test_a_claim_after_the_retirement_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_the_place(table: RoutingTable, replica: str, **_: int) -> None:
        table._put(table.entries[replica], Place.READY)

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        monkeypatch.setattr(RoutingTable, "retire", forgets_the_place)
        await lab.retire(replica)
        assert (await send(lab.port, get())).status == 200
        assert len(replica.requests) == 1
