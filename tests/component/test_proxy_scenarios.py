"""What kamal-proxy's own suite demands of a deploying proxy, and the holes found by reading it, in the lab's terms."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_attempts import hello
from tests.proxy_drains import comes_to, retire, seen_to, until_left
from tests.proxy_world import (
    PATIENCE,
    Received,
    Responder,
    World,
    connected,
    eventually,
    get,
    read_answer,
    read_head,
    send,
    world,
)
from tests.proxy_ws import CLOSE, echoes, read_frame, tunnel


async def served_by(lab: World) -> str:
    return (await send(lab.port, get("/who"))).body.decode()


async def named(lab: World, name: str) -> None:
    await lab.serve(name, says(name))


def says(name: str) -> Responder:
    async def respond(_received: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode())

    return respond


# Deploys


async def test_the_replacement_takes_over_with_the_retirement_of_the_old_one(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        old = await lab.serve("app-1.1", says("old"))
        assert await served_by(lab) == "old"
        await lab.serve("app-1.2", says("new"))
        await lab.retire(old)
        assert {await served_by(lab) for _ in range(10)} == {"new"}
        await lab.removable(old)
        await lab.remove(old)
        assert await served_by(lab) == "new"


async def test_a_deploy_that_never_becomes_healthy_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says("old"))
        broken = await lab.replica("app-1.2", says("broken"))
        broken.ready = False
        await lab.join(broken)
        await lab.until(broken, lambda found: found["last_probe"] is not None)
        error = await lab.change("POST", "/v1/replicas/app-1.2/admit", expect=409)
        assert error["error"]["id"] == "not-proven"
        assert {await served_by(lab) for _ in range(10)} == {"old"}
        await lab.remove(broken)
        assert broken.requests == []


async def test_a_deploy_of_what_answers_for_another_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        stranger = await lab.replica("app-1.2", says("stranger"))
        stranger.identity = "app-9.9"
        await lab.join(stranger)
        seen = await lab.until(stranger, lambda found: found["last_probe"] is not None)
        assert (seen["proven"], seen["last_probe"]["ok"]) == (False, False)


async def test_no_request_sees_a_moment_without_a_replica_while_deploys_follow_each_other(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        current = await lab.serve("app-1.1", says("app-1.1"))
        answers: list[int] = []
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                answers.append((await send(lab.port, get())).status)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(client())
            for generation in range(2, 32):
                new = await lab.serve(f"app-1.{generation}", says("new"))
                await lab.retire(current)
                await lab.removable(current)
                await lab.remove(current)
                await current.kill()
                current = new
            done.set()
        assert set(answers) == {200}
        assert len(answers) > 30


# Drains


async def test_an_empty_drain_is_over_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await lab.retire(replica, deadline_ms=600_000)
        seen = await lab.removable(replica)
        assert (seen["aborted"], seen["cut"], seen["idle"]) == (0, 0, 0)


async def test_requests_that_end_in_time_are_answered(tmp_path: Path) -> None:
    """kamal-proxy's own test begins the drain when its requests are over: here they are in flight."""
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(3)]
        for _ in clients:
            await replica.arrived.acquire()
        assert (await retire(lab, replica))["in_flight"] == 3
        for _ in clients:
            replica.held.release()
        assert [client.status for client in await asyncio.gather(*clients)] == [200] * 3
        assert (await lab.removable(replica))["aborted"] == 0


async def test_requests_that_do_not_are_answered_504(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(3)]
        for _ in clients:
            await replica.arrived.acquire()
        await retire(lab, replica, deadline_ms=50)
        answers = await asyncio.gather(*clients)
        assert {(answer.status, answer.headers["x-lab-proxy"]) for answer in answers} == {(504, "drain-deadline")}
        assert (await lab.removable(replica))["aborted"] == 3


async def test_hijacked_connections_may_be_ended_at_once_while_requests_have_their_time(tmp_path: Path) -> None:
    held = asyncio.Event()

    async def respond(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if received.target == "/ws":
            await echoes(received, reader, writer)
        await held.wait()
        await hello(received, reader, writer)

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with tunnel(lab.port) as (reader, _):
            client = asyncio.create_task(send(lab.port, get()))
            await seen_to(lab, replica, lambda found: found["in_flight"] == 2)
            await retire(lab, replica, websocket_deadline_ms=0)
            assert (await read_frame(reader)).opcode == CLOSE
            held.set()
            assert (await client).status == 200


async def test_a_passing_probe_does_not_undo_a_drain(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        await retire(lab, replica)
        probed = (await lab.seen(replica))["last_probe"]["t"]
        seen = await comes_to(lambda: lab.seen(replica), lambda found: found["last_probe"]["t"] > probed)
        assert (seen["place"], seen["health"]) == ("draining", "up")
        replica.held.release()
        assert (await client).status == 200


async def test_a_second_drain_of_the_same_replica_waits_for_the_same_end(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        first = await lab.retire(replica)
        second = await lab.retire(replica)
        assert second["epoch"] == first["epoch"]
        assert (await lab.seen(replica))["place"] == "draining"
        replica.held.release()
        await client
        await lab.removable(replica)


async def test_a_connection_that_comes_back_from_a_draining_replica_is_closed(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(2)]
        for _ in clients:
            await replica.arrived.acquire()
        await retire(lab, replica)
        replica.held.release()
        await asyncio.wait(clients, return_when=asyncio.FIRST_COMPLETED)
        seen = await lab.seen(replica)
        assert (seen["place"], seen["in_flight"], seen["idle"]) == ("draining", 1, 0)
        replica.held.release()
        await asyncio.gather(*clients)
        await lab.removable(replica)
        assert replica.open_connections == 0


# Pausing


async def test_it_does_not_hold_unless_it_is_told_to(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        assert (await lab.state())["hold"] == {"on": False, "held": 0, "bytes": 0, "oldest_ms": 0}


async def test_a_deploy_while_requests_are_held_lets_none_of_them_go(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        old = await lab.serve("app-1.1", says("old"))
        await lab.change("POST", "/v1/hold")
        client = asyncio.create_task(served_by(lab))
        await comes_to(lab.state, lambda state: state["hold"]["held"] == 1)
        new = await lab.serve("app-1.2", says("new"))
        await lab.retire(old)
        await lab.removable(old)
        await lab.remove(old)
        state = await lab.state()
        assert (state["hold"]["on"], state["hold"]["held"], new.requests) == (True, 1, [])
        await lab.change("POST", "/v1/release")
        assert await client == "new"


async def test_health_is_probed_and_told_while_requests_are_held(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await lab.change("POST", "/v1/hold")
        assert (await lab.call("GET", "/v1/health"))["status"] == "ok"
        replica.ready = False
        await lab.until(replica, lambda found: found["health"] == "ejected")
        replica.ready = True
        await lab.until(replica, lambda found: found["health"] == "up")
        assert replica.requests == []


async def test_a_proxy_that_stops_leaves_no_held_request_without_an_answer(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0.5)) as lab:
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(3)]
        await comes_to(lab.state, lambda state: state["hold"]["held"] == 3)
        await lab.stop(seconds=PATIENCE)
        answers = await asyncio.gather(*clients)
        assert {answer.status for answer in answers} <= {503, 504}
        assert all("x-lab-proxy" in answer.headers for answer in answers)


# Restoring


async def test_the_last_state_is_restored_and_its_replicas_are_proved_anew(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says("restored"))
        before = await lab.state()
        replica.ready = False
        await lab.stop()
        await lab.start()
        after = await lab.state()
        assert (after["epoch"], after["fence"]) == (before["epoch"], before["fence"])
        assert [(each["replica"], each["place"]) for each in after["replicas"]] == [("app-1.1", "ready")]
        assert (await lab.seen(replica))["health"] != "up"
        client = asyncio.create_task(served_by(lab))
        await comes_to(lab.state, lambda state: state["hold"]["held"] == 1)
        assert replica.requests == []
        replica.ready = True
        assert await client == "restored"


async def test_what_is_kept_is_whole_at_every_moment(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        file, done = tmp_path / "state" / "routes.json", asyncio.Event()
        read = 0

        async def reader() -> None:
            nonlocal read
            while not done.is_set():
                json.loads(file.read_text())
                read += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(reader())
        for number in range(1, 20):
            await named(lab, f"app-{number}.1")
        done.set()
        await task
        assert read > 20


# Requests


async def test_a_query_that_no_parser_takes_arrives_as_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        for target in ("/test1?p1=a;b;c&p2=%x&p3=ok", "/a/../b//c?%zz", "/%7e%41?q=%27"):
            await send(lab.port, get(target))
            assert replica.requests[-1].target == target


async def test_a_client_that_left_is_told_apart_in_the_ledger(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", until_left)
        async with connected(lab.port) as (_, writer):
            writer.write(get())
            await eventually(lambda: bool(replica.requests))
        await asyncio.wait_for(replica.gone.wait(), PATIENCE)
        await seen_to(lab, replica, lambda found: found["in_flight"] == 0)
        await lab.change("DELETE", "/v1/run")
        assert [line["result"] for line in lab.ledger("r1") if line["e"] == "end"] == ["client_gone"]


async def test_a_request_keeps_its_id_or_gets_one(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await send(lab.port, get("/", "X-Lab-Request-Id: mine-1"))
        await send(lab.port, get("/"))
        await send(lab.port, get("/", "X-Lab-Request-Id: not an id!"))
        ids = [request.one("X-Lab-Request-Id") for request in replica.requests]
        assert ids[0] == "mine-1"
        assert len(set(ids)) == 3
        assert "not an id!" not in ids


async def test_a_body_of_malformed_chunks_is_refused_and_its_connection_closed(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", hello)
        async with connected(lab.port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\nnot-a-size\r\n")
            assert (await read_answer(reader)).status == 400
            assert await reader.read() == b""


async def test_a_large_answer_is_passed_on_as_it_comes_and_not_gathered(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def halves(_received: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000))
        await go_on.wait()
        writer.write(bytes(100_000))

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", halves)
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            await read_head(reader)
            await reader.readexactly(100_000)
            go_on.set()
            await reader.readexactly(100_000)
        await eventually(lambda: len(replica.requests) == 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_that_outlives_its_client_s_patience_is_not_left_running(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", until_left)
        client = asyncio.create_task(send(lab.port, get().replace(b"GET", method.encode())))
        await eventually(lambda: bool(replica.requests))
        client.cancel()
        await asyncio.wait_for(replica.gone.wait(), PATIENCE)
