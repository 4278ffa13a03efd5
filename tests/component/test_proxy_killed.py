"""The proxy's own end: killed under load it comes back with its routes; told to end it finishes what it has."""

import asyncio
from pathlib import Path

import pytest

from tests.component.test_proxy_streams import dechunked, says
from tests.proxy_attempts import hello
from tests.proxy_drains import comes_to
from tests.proxy_process import ProcessWorld, process_world
from tests.proxy_world import (
    PATIENCE,
    Load,
    Received,
    Replica,
    connected,
    eventually,
    get,
    read_answer,
    read_head,
    send,
)
from tests.proxy_ws import close_frame, echoes, read_frame, tunnel


async def works(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.02)
    await hello(received, reader, writer)


async def fleet(lab: ProcessWorld) -> list[Replica]:
    return [await lab.serve(f"app-{slot}.1", works) for slot in (1, 2)]


async def test_killed_under_load_it_comes_back_with_its_routes_and_holds_until_they_are_proved(tmp_path: Path) -> None:
    async with process_world(tmp_path) as lab:
        replicas = await fleet(lab)
        await lab.change("PUT", "/v1/run", run="r1")
        before, port = await lab.state(), lab.port
        load = Load(port, clients=8)
        async with load.running():
            await eventually(lambda: load.good > 40)
            load.stop.set()
            await lab.kill()
        for replica in replicas:
            replica.ready = False
        await lab.start()
        assert lab.port == port

        after = await lab.state()
        for key in ("epoch", "fence", "run"):
            assert after[key] == before[key], key
        assert [(each["replica"], each["place"]) for each in after["replicas"]] == [
            ("app-1.1", "ready"),
            ("app-2.1", "ready"),
        ]
        assert "up" not in {each["health"] for each in after["replicas"]}
        asked = [len(replica.requests) for replica in replicas]
        clients = [asyncio.create_task(send(port, get())) for _ in range(5)]
        await comes_to(lab.state, lambda state: state["hold"]["held"] == 5)
        assert [len(replica.requests) for replica in replicas] == asked
        for replica in replicas:
            replica.ready = True
        assert [client.status for client in await asyncio.gather(*clients)] == [200] * 5

        load = Load(port, clients=8)
        async with load.running():
            await eventually(lambda: load.good > 40)
        assert load.bad == []
        assert "restarted" in {line["e"] for line in lab.ledger("r1")}


async def test_a_replica_that_was_never_proved_gets_nothing_although_another_one_is_back(tmp_path: Path) -> None:
    async with process_world(tmp_path) as lab:
        back, sick = await fleet(lab)
        await lab.kill()
        sick.ready = False
        await lab.start()
        assert [(await send(lab.port, get())).status for _ in range(20)] == [200] * 20
        assert (len(back.requests), len(sick.requests)) == (20, 0)


async def test_what_was_acknowledged_has_outlived_every_kill(tmp_path: Path) -> None:
    async with process_world(tmp_path) as lab:
        replicas = await fleet(lab)
        busy = asyncio.create_task(send(lab.port, get()))
        for replica in replicas:
            acknowledged = await lab.retire(replica)
            await lab.kill()
            await lab.start()
            assert (await lab.state())["epoch"] >= acknowledged["epoch"]
            assert (await lab.seen(replica))["place"] in {"draining", "removable"}
            await lab.removable(replica)
        await asyncio.gather(busy, return_exceptions=True)
        assert sum(len(replica.requests) for replica in replicas) <= 1


@pytest.mark.parametrize("keep", [0, 1, -2])
async def test_a_state_file_cut_short_is_refused_and_no_empty_routes_are_served(tmp_path: Path, keep: int) -> None:
    async with process_world(tmp_path) as lab:
        await fleet(lab)
        await lab.kill()
        file = tmp_path / "state" / "routes.json"
        whole = file.read_bytes()
        file.write_bytes(whole[:keep])
        with pytest.raises(AssertionError, match="did not start"):
            await lab.start()
        assert lab.process is not None
        assert await asyncio.wait_for(lab.process.wait(), PATIENCE) == 3
        assert "routes.json" in "".join(lab.said)
        assert file.read_bytes() == whole[:keep]
        file.write_bytes(whole)
        await lab.start()
        assert (await send(lab.port, get())).status == 200


async def test_told_to_end_under_load_it_breaks_no_request_off(tmp_path: Path) -> None:
    """Each client, on its kept connection, gets whole answers until one says that it is the last."""
    async with process_world(tmp_path) as lab:
        await fleet(lab)
        answers: list[int] = []

        async def client() -> None:
            async with connected(lab.port) as (reader, writer):
                closing = ""
                while closing != "close":
                    writer.write(get())
                    answer = await read_answer(reader)
                    assert answer.body == b"hello"
                    answers.append(answer.status)
                    closing = answer.headers.get("connection", "")
                assert await reader.read() == b""

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(client())
            await eventually(lambda: len(answers) > 40)
            await lab.stop()
        assert set(answers) == {200}


async def test_told_to_end_it_ends_what_would_never_end_by_itself_in_order(tmp_path: Path) -> None:
    async def respond(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (echoes if received.target == "/ws" else says(b"data: 1\n\n"))(received, reader, writer)

    async with process_world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.serve("app-1.1", respond)
        async with tunnel(lab.port) as (socket, _), connected(lab.port) as (stream, writer):
            writer.write(get("/stream"))
            await read_head(stream)
            await dechunked(stream, to=b"\n\n")
            stopping = asyncio.create_task(lab.stop())
            assert await read_frame(socket) == close_frame(1001)
            assert await dechunked(stream) == b""
            await stopping
        assert [line["result"] for line in lab.ledger("r1") if line["e"] == "end"] == ["cut", "cut"]
