"""The load as its users run it: what it reports is exactly what was done to it."""

import json
import signal
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns
from urllib.request import urlopen

import jsonschema
import pytest

from lab.proof import VerdictOutcome, judge, read_client
from tests.loadtest_world import SCHEMAS, Line, Request, Run, Stub, load, served
from tests.unit.proof_world import facts, ledger

EXPECTED = {
    "fin": ("reset", "closed"),
    "rst": ("reset", "reset"),
    "hang": ("timeout", "timeout-waiting"),
    "cut header": ("truncated", "cut-header"),
    "cut length": ("truncated", "cut-length"),
    "cut chunked": ("truncated", "cut-chunked"),
    "cut close": ("truncated", "cut-close-delimited"),
    "reset body": ("truncated", "cut-length"),
    "cut inside": ("truncated", "cut-inside"),
    "hang in body": ("timeout", "timeout-body"),
    "not http": ("contract", "not-http"),
    "wrong id": ("contract", "wrong-id"),
    "wrong shape": ("contract", "wrong-shape"),
    "wrong parcel": ("contract", "wrong-content"),
    "wrong sender": ("contract", "wrong-sender"),
    "v2 without names": ("contract", "wrong-shape"),
    "not found": ("contract", "wrong-status"),
    "redirect": ("contract", "wrong-status"),
    "sql error": ("server_error", "server-error"),
    "no replica": ("server_error", "proxy-error"),
}
EACH = 4


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stub, Run]]:
    """Each second read of a parcel is met with the next fault, until each fault was injected EACH times."""
    sequence = [kind for kind in EXPECTED for _ in range(EACH)]

    def misbehave(request: Request) -> str | None:
        turn, odd = divmod(request.number, 2)
        return sequence[turn - 1] if request.reads_one_parcel and not odd and turn <= len(sequence) else None

    flags = ("--rate", "250", "--max-seconds", "2", "--deadline-s", "1.5", "--replicas", "1")
    with served(misbehave) as stub, load(stub.url, tmp_path_factory.mktemp("runs"), *flags) as run:
        assert run.end() == 0
        yield stub, run


@pytest.mark.parametrize("kind", EXPECTED)
def test_each_fault_is_reported_as_often_as_it_was_injected(faulty: tuple[Stub, Run], kind: str) -> None:
    stub, run = faulty
    ends = run.ends()
    reported = [rid for rid, end in ends.items() if end["outcome"] != "ok" and stub.met.get(rid) == kind]
    assert len(reported) == EACH
    assert {(ends[rid]["outcome"], ends[rid]["kind"]) for rid in reported} == {EXPECTED[kind]}


def test_nothing_but_the_injected_faults_is_reported(faulty: tuple[Stub, Run]) -> None:
    stub, run = faulty
    wrong = {rid: end for rid, end in run.ends().items() if end["outcome"] != "ok" and rid not in stub.met}
    assert wrong == {}
    assert run.lines[-1]["failed"] == len(stub.met)


def test_no_request_is_sent_twice(faulty: tuple[Stub, Run]) -> None:
    stub, _ = faulty
    assert max(Counter(stub.seen).values()) == 1


def test_reasons_of_the_proxy_and_errors_of_the_app_are_in_the_ledger(faulty: tuple[Stub, Run]) -> None:
    stub, run = faulty
    ends = {met: run.ends()[rid] for rid, met in stub.met.items()}
    assert ends["no replica"]["reason"] == "no-ready-replica"
    assert ends["sql error"]["error"] == "42703 no such"
    assert ends["v2 without names"]["version"] == "v2"


def test_every_line_follows_its_schema(faulty: tuple[Stub, Run]) -> None:
    _, run = faulty
    for name, lines in (("client-ledger", run.ledger_lines()), ("load-status", run.lines)):
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        validator = jsonschema.Draft202012Validator(schema)
        assert [line for line in lines if not validator.is_valid(line)] == []


def test_the_ledger_has_a_header_an_end_for_each_offer_and_a_footer_that_counts_them(faulty: tuple[Stub, Run]) -> None:
    _, run = faulty
    lines = run.ledger_lines()
    head = {"e": "header", "schema": "lab.client-ledger/1", "run": "r1", "rate": 250.0, "seed": 1, "workers": 1}
    assert lines[0].items() >= head.items()
    assert sum(lines[0]["cohorts"].values()) == pytest.approx(1, abs=0.001)
    assert run.offers().keys() == run.ends().keys()
    footer = lines[-1]
    assert (footer["e"], footer["complete"], footer["not_sent"]) == ("footer", True, 0)
    assert footer["offered"] == footer["finished"] == len(run.offers())
    assert run.lines[-1]["reason"] == "max-seconds"


def test_acknowledged_writes_carry_their_key_and_the_parcels_id(faulty: tuple[Stub, Run]) -> None:
    stub, run = faulty
    ends = run.ends()
    posts = [offer for offer in run.offers().values() if offer["method"] == "POST"]
    assert posts
    assert {stub.parcels[ends[offer["id"]]["ack"]]["key"] for offer in posts} == {offer["key"] for offer in posts}
    assert all("ack" not in ends[rid] for rid, offer in run.offers().items() if offer["method"] == "GET")


def test_the_mix_has_reads_lists_writes_patches_read_backs_and_slow_requests(faulty: tuple[Stub, Run]) -> None:
    _, run = faulty
    made: dict[str, set[str]] = defaultdict(set)
    for offer in run.offers().values():
        made[offer["cohort"]].add(offer["method"])
    sessions = {"slow", "stream", "websocket"}
    assert (
        made.keys()
        == {"read", "fresh", "page", "write", "patch", "idempotent", "read_your_writes", "browser"} | sessions
    )
    assert made["read_your_writes"] == {"POST", "GET", "PATCH"}
    assert made["idempotent"] == {"POST"}


def test_a_fresh_request_is_the_first_of_its_connection_and_a_read_is_not(faulty: tuple[Stub, Run]) -> None:
    _, run = faulty
    offers = run.offers()
    turns = defaultdict(list)
    for rid, end in run.ends().items():
        if offers[rid]["method"] == "GET" and end["outcome"] == "ok":
            turns[offers[rid]["cohort"]].append(end["conn_request"])
    assert set(turns["fresh"]) == {1}
    assert max(turns["read"]) > 1


def test_a_read_back_names_the_write_that_it_looks_for(faulty: tuple[Stub, Run]) -> None:
    _, run = faulty
    offers = run.offers()
    backs = [offer for offer in offers.values() if offer["cohort"] == "read_your_writes" and offer["method"] == "GET"]
    assert backs
    assert {offers[back["follows"]]["method"] for back in backs} == {"POST", "PATCH"}


def test_a_request_times_out_at_its_deadline_counted_from_when_it_was_due(faulty: tuple[Stub, Run]) -> None:
    stub, run = faulty
    offers, ends = run.offers(), run.ends()
    hung = [rid for rid, met in stub.met.items() if met == "hang"]
    assert all(1.5 <= waited(offers[rid], ends[rid]) < 2 for rid in hung)


def test_requests_to_a_server_that_is_gone_are_refused(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, "--rate", "200", "--max-seconds", "2") as run:
        run.until("tick")
        stub.refuse()
        closed = monotonic_ns()
        assert run.end() == 0
        outcomes = run.outcomes()
        later = [outcomes[rid] for rid, offer in run.offers().items() if offer["t"] > closed]
        assert len(later) > 100
        assert set(later) == {"refused"}


def test_a_frozen_server_lowers_nothing_that_is_offered_and_its_freeze_is_in_the_latency(tmp_path: Path) -> None:
    flags = ("--rate", "100", "--max-seconds", "2", "--cohorts", "read=1")
    with served() as stub, load(stub.url, tmp_path, *flags) as run:
        run.until("started")
        stub.gate.clear()
        threading.Timer(1.0, stub.gate.set).start()
        assert run.end() == 0
        offers, ends = run.offers(), run.ends()
        assert len(offers) == 200
        late = [rid for rid, offer in offers.items() if waited(offer, ends[rid]) > 0.25]
        # 0.75 s of the freeze
        assert 55 <= len(late) <= 110
        assert run.lines[-1]["failed"] == 0


def waited(offer: Line, end: Line) -> float:
    return float(end["t"] - offer["due"]) / 1e9


def test_a_load_that_was_kept_from_its_processor_says_how_late_it_was(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, "--cohorts", "read=1", "--max-seconds", "2") as run:
        run.until("started")
        run.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(0.6)
        run.process.send_signal(signal.SIGCONT)
        assert run.end() == 0
    footer = run.ledger_lines()[-1]
    assert 400 < footer["lag_p99_ms"] == run.lines[-1]["lag_p99_ms"]
    assert max(line["lag_p99_ms"] or 0 for line in run.lines if line["type"] == "tick") > 400
    assert (footer["offered"], footer["not_sent"]) == (200, 0)


def test_what_does_not_fit_into_the_pool_is_not_sent_and_not_failed(tmp_path: Path) -> None:
    flags = ("--rate", "100", "--pool", "5", "--max-requests", "60", "--deadline-s", "1")
    hanging = lambda request: None if request.path == "/livez" else "hang"  # noqa: E731
    with served(hanging) as stub, load(stub.url, tmp_path, *flags) as run:
        stub.parcels[1] = {}
        assert run.end() == 0
        counted = Counter(run.outcomes().values())
        assert counted.keys() == {"timeout", "not_sent"}
        assert counted["timeout"] == 5
        assert counted["not_sent"] > 40
        last = run.lines[-1]
        assert (last["failed"], last["not_sent"], last["reason"]) == (5, counted["not_sent"], "max-requests")


def test_sigterm_lets_requests_in_flight_finish(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, "--deadline-s", "3") as run:
        while run.until("tick")["in_flight"] == 0:
            pass
        told = monotonic_ns()
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 0
        offers, ends = run.offers(), run.ends()
        assert [rid for rid, end in ends.items() if end["t"] > told and offers[rid]["cohort"] == "slow"]
        assert set(run.outcomes().values()) == {"ok"}
        assert max(offer["t"] for offer in offers.values()) < told + 800_000_000
        assert run.ledger_lines()[-1]["complete"] is True
        assert run.lines[-1]["reason"] == "stopped"


def test_a_killed_load_leaves_its_open_requests_and_no_footer(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path) as run:
        run.until("tick")
        run.process.kill()
        run.process.wait(10)
        assert run.offers().keys() > run.ends().keys()
        assert run.ledger_lines()[-1]["e"] != "footer"
        verdict = judge(facts(), read_client(ledger(run.ledger_lines())), None, [])
        assert verdict.open == len(run.offers().keys() - run.ends().keys())
        assert {"load-died", "open-requests"} <= {reason.id for reason in verdict.reasons}
        assert verdict.outcome is VerdictOutcome.INCONCLUSIVE


def test_the_load_outlives_the_one_who_reads_its_stdout(tmp_path: Path) -> None:
    with served() as stub, load(stub.url, tmp_path, "--max-seconds", "1", "--cohorts", "read=1") as run:
        run.until("started")
        assert run.process.stdout is not None
        run.process.stdout.close()
        run.process.stdout = None
        assert run.process.wait(20) == 0
        assert run.ledger_lines()[-1]["complete"] is True


def test_locusts_own_page_shows_the_cohorts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served() as stub, load(stub.url, tmp_path, "--web-port", str(port)) as run:
        run.until("tick")
        with urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=10) as page:
            shown = {(entry["method"], entry["name"]) for entry in json.load(page)["stats"]}
    assert {("GET", "read"), ("PATCH", "patch"), ("POST", "read_your_writes")} <= shown


REPLAYING = """
import sys
from gevent import monkey
monkey.patch_all()
from geventhttpclient import HTTPClient
from loadtest import run, transport
from loadtest.messages import Broken, Reply
from loadtest.outcomes import Flaw, Kind, Outcome

def send(self, message, *, until, sink=None):
    client = HTTPClient(self.connections._host, self.connections._port)
    try:
        answer = client.request(message.method, message.path)
        return Reply(status=answer.status_code, headers={}, body=answer.read())
    except Exception as error:
        return Broken(flaw=Flaw(outcome=Outcome.RESET, kind=Kind.CLOSED, detail=str(error)))

transport.Transport.send = send
sys.exit(run.main(sys.argv[1:]))
"""


def test_a_client_that_replays_broken_requests_is_refused(tmp_path: Path) -> None:
    with load("http://127.0.0.1:1", tmp_path, program=("-c", REPLAYING)) as run:
        assert run.end() == 3
        assert (run.lines[0]["type"], run.lines[0]["ok"]) == ("self-test", False)
        assert run.lines[0]["reported"] < run.lines[0]["injected"]
        assert run.lines[1]["type"] == "error"
        assert not run.ledger.exists()


def test_a_target_that_never_answers_is_an_error(tmp_path: Path) -> None:
    with load("http://127.0.0.1:1", tmp_path, "--answer-within-s", "0.3") as run:
        assert run.end() == 3
        assert run.lines[0] == {"type": "self-test", "ok": True, "injected": 10, "reported": 10}
        assert "http://127.0.0.1:1/livez did not answer" in run.lines[1]["message"]


def test_the_ledger_of_another_load_is_never_written_over(tmp_path: Path) -> None:
    ledger = tmp_path / "r1/client.jsonl"
    ledger.parent.mkdir()
    ledger.write_text("theirs")
    with load("http://127.0.0.1:1", tmp_path) as run:
        assert run.end() == 3
        assert "another load wrote it" in run.lines[-1]["message"]
    assert ledger.read_text() == "theirs"
