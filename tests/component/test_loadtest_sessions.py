"""Event streams and WebSockets: what a drain deadline may do to them, and everything else that can go wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.loadtest_live import GIVEN, STREAM_ENDINGS, WEBSOCKET_ENDINGS
from tests.loadtest_world import Line, Request, Run, Stub, load, served

EXPECTED = {
    "stream is cut": ("cut", "cut"),
    "stream ends with its connection": ("cut", "cut"),
    "stream dies": ("truncated", "cut-chunked"),
    "stream is reset": ("truncated", "cut-chunked"),
    "stream is torn": ("truncated", "cut-inside"),
    "stream skips": ("contract", "wrong-content"),
    "websocket is sent away": ("cut", "cut"),
    "websocket fails": ("server_error", "wrong-close"),
    "websocket is over": ("contract", "wrong-close"),
    "websocket vanishes": ("truncated", "cut-websocket"),
    "websocket echoes wrongly": ("contract", "wrong-content"),
    "fin": ("reset", "closed"),
    "cut header": ("truncated", "cut-header"),
    "no replica": ("server_error", "proxy-error"),
}
EACH = 3
FLAGS = ("--rate", "60", "--deadline-s", "3", "--cohorts", "stream=1,websocket=1")


def of_stream(request: Request) -> bool:
    return request.path.startswith("/stream")


class Sequence:
    """Each second new session of a kind meets the next fault; one that is asked for again meets none."""

    def __init__(self) -> None:
        both = [kind for kind in EXPECTED if kind not in {*STREAM_ENDINGS, *WEBSOCKET_ENDINGS}]
        self.faults = {
            True: iter([kind for kind in (*STREAM_ENDINGS, *both) for _ in range(EACH)]),
            False: iter([kind for kind in (*WEBSOCKET_ENDINGS, *both) for _ in range(EACH)]),
        }
        self.seen = {True: 0, False: 0}

    def __call__(self, request: Request) -> str | None:
        kind = of_stream(request)
        if request.path == "/livez":
            return None
        self.seen[kind] += 1
        return next(self.faults[kind], None) if self.seen[kind] % 2 else None


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stub, Run]]:
    flags = (*FLAGS, "--max-requests", "140")
    with served(Sequence()) as stub, load(stub.url, tmp_path_factory.mktemp("runs"), *flags) as run:
        assert run.end() == 0
        yield stub, run


def test_every_fault_of_a_session_is_reported_as_often_as_it_was_injected(faulty: tuple[Stub, Run]) -> None:
    stub, run = faulty
    ends = run.ends()
    assert set(stub.met.values()) == EXPECTED.keys()
    assert {rid: (ends[rid]["outcome"], ends[rid]["kind"]) for rid in stub.met} == {
        rid: EXPECTED[fault] for rid, fault in stub.met.items()
    }
    assert {rid for rid, end in ends.items() if end["outcome"] != "ok"} == stub.met.keys()


def test_a_session_that_was_cut_is_asked_for_again_at_once_and_only_for_its_rest(faulty: tuple[Stub, Run]) -> None:
    _, run = faulty
    offers, ends = run.offers(), run.ends()
    after = {offer["follows"]: rid for rid, offer in offers.items() if "follows" in offer}
    cut = {rid: end for rid, end in ends.items() if end["outcome"] == "cut"}
    assert after.keys() == cut.keys()
    for rid, end in cut.items():
        assert end["events"] == GIVEN
        assert end["cut"] <= end["again"] <= end["cut"] + 1_000_000_000
        assert offers[after[rid]]["due"] == end["cut"]
        if offers[rid]["cohort"] == "stream":
            assert wanted(offers[rid]) == GIVEN + wanted(offers[after[rid]])


def wanted(offer: Line) -> int:
    return int(offer["path"].partition("events=")[2].partition("&")[0])


def test_what_was_cut_in_order_is_counted_apart_and_not_as_failed(faulty: tuple[Stub, Run]) -> None:
    stub, run = faulty
    cut = [fault for fault in stub.met.values() if EXPECTED[fault][0] == "cut"]
    last = run.lines[-1]
    assert (last["cut"], last["failed"]) == (len(cut), len(stub.met) - len(cut))
    assert run.ledger_lines()[-1]["cut"] == len(cut)


def test_sessions_name_their_replica_and_their_schedule_has_no_lag_from_being_asked_again(
    faulty: tuple[Stub, Run],
) -> None:
    stub, run = faulty
    assert {end["replica"] for rid, end in run.ends().items() if rid not in stub.met} == {"app-1.1"}
    assert {end["status"] for rid, end in run.ends().items() if rid not in stub.met} == {200, 101}


def once(first: str, then: str | None) -> Callable[[Request], str | None]:
    faults = iter([first])
    return lambda request: None if request.path == "/livez" else next(faults, then)


@pytest.mark.parametrize(
    ("cohort", "ending", "then"),
    [
        ("stream", "stream is cut", "fin"),
        ("websocket", "websocket is sent away", "no replica"),
        ("websocket", "websocket is sent away", "late"),
    ],
)
def test_a_session_that_is_not_there_again_within_a_second_was_dropped(
    tmp_path: Path, cohort: str, ending: str, then: str
) -> None:
    flags = ("--rate", "1", "--deadline-s", "3", "--cohorts", f"{cohort}=1", "--max-requests", "1")
    with served(once(ending, then)) as stub, load(stub.url, tmp_path, *flags) as run:
        assert run.end() == 0
        first, second = run.ends().values()
        kinds = {end["id"]: end["kind"] for end in (first, second) if end["outcome"] != "ok"}
    assert kinds.pop(f"r1-{cohort}-1") == "cut-and-gone"
    assert list(kinds.values()) == {"fin": ["closed"], "no replica": ["proxy-error"], "late": []}[then]


def test_a_session_that_is_cut_again_and_again_is_given_up(tmp_path: Path) -> None:
    flags = ("--rate", "1", "--deadline-s", "3", "--cohorts", "websocket=1", "--max-requests", "1")
    always = lambda request: None if request.path == "/livez" else "websocket is sent away"  # noqa: E731
    with served(always) as stub, load(stub.url, tmp_path, *flags) as run:
        assert run.end() == 0
        kinds = [end["kind"] for end in run.ends().values()]
    assert kinds == ["cut"] * 3 + ["cut-and-gone"]
