"""The switch that cuts answers on purpose: off by default, refused to strangers, counted outside the ledger."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.proxy_world import Received, World, admin_schema, get, ledger_schema, send, world

SWITCH = "/v1/test/cut-switch"


async def _answers(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"x" * 40)


async def _ask(lab: World, numbers: range) -> list[int]:
    """The numbers of those whose answer did not come whole."""
    cut = []
    for number in numbers:
        try:
            await send(lab.port, get("/", f"X-Lab-Request-Id: r1-read-{number}"))
        except asyncio.IncompleteReadError:
            cut.append(number)
    return cut


async def test_every_third_answer_is_cut_and_only_the_switch_knows_which(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", _answers)
        await lab.change("PUT", "/v1/run", run="r1")
        assert await _ask(lab, range(6)) == []

        admin_schema("cut-switch").validate(await lab.change("PUT", SWITCH, every=3))
        cut = await _ask(lab, range(10, 20))

        assert cut == [12, 15, 18]
        told = await lab.call("GET", SWITCH)
        assert (told["every"], told["count"]) == (3, 3)
        assert told["cut"] == [f"r1-read-{number}" for number in cut]
        await lab.change("PUT", SWITCH, every=0)
        assert await _ask(lab, range(20, 30)) == []
        await lab.change("DELETE", "/v1/run")
        rows = lab.raw_ledger("r1")
        for row in rows:
            ledger_schema().validate(row)
        assert [row["every"] for row in rows if row["e"] == "cut-switch"] == [3]
        assert {row["result"] for row in rows if "result" in row} == {"ok"}


async def test_a_run_that_begins_while_the_switch_is_on_says_so(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", SWITCH, every=7)
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.change("DELETE", "/v1/run")
        assert [row["every"] for row in lab.raw_ledger("r1") if row["e"] == "cut-switch"] == [7]


async def test_a_restart_turns_it_off(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", SWITCH, every=7)
        await lab.stop()
        await lab.start()
        assert (await lab.call("GET", SWITCH))["every"] == 0


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_without_the_token_it_is_refused(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as lab, aiohttp.ClientSession() as stranger:
        url = f"http://127.0.0.1:{lab.server.admin_port}{SWITCH}"
        async with stranger.request(method, url, json={"fence": lab.fence, "every": 2}) as answer:
            assert answer.status == 401
        assert (await lab.call("GET", SWITCH))["every"] == 0


async def test_without_the_lease_it_is_not_turned(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.call("PUT", SWITCH, {"fence": lab.fence - 1, "every": 2}, expect=409)
        assert (await lab.call("GET", SWITCH))["every"] == 0
