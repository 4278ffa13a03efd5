"""One answer is right; everything else has a class, and blames the one who is to blame."""

import errno
import json
import random
import socket

import pytest

from loadtest.envelope import Envelope, unseal
from loadtest.messages import Broken, Reply, Trace
from loadtest.oracle import Expected, Judgement, judge
from loadtest.outcomes import (
    Flaw,
    Framing,
    Kind,
    Outcome,
    Phase,
    flaw_of_close,
    flaw_of_deadline,
    flaw_of_error,
    seen_through_a_published_port,
)
from loadtest.parcels import Known, Recipient, Stored, check_page, check_parcel, check_slept, some_recipient
from sample_app import envelope as app

PARCEL = {"id": 7, "key": "k", "recipient_name": "Zoë Müller", "address": "1 Harbour Street", "status": "registered"}
V2 = {**PARCEL, "first_name": "Zoë", "last_name": "Müller"}
ZOE = Recipient(first="Zoë", last="Müller")


def seal(
    data: object, *, request_id: str = "r-1", version: str = "v1", part: str = "data", length: int | None = None
) -> bytes:
    head = {"request_id": request_id, "version": version, "replica": "app-1.1", part: data}
    text = json.dumps(head, ensure_ascii=False)[:-1].encode() + b',"length":"'
    size = len(text) + 8 + len(b'","end":"."}') if length is None else length
    return text + b'%08d","end":"."}' % size


def reply(body: bytes, *, status: int = 200, version: str = "v1", **headers: str) -> Reply:
    names = {"x-lab-version": version, "x-lab-replica": "app-1.1"}
    extra = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers={**names, **extra}, body=body)


def judged(answer: Reply | Broken, *, statuses: frozenset[int] = frozenset({200})) -> Judgement:
    return judge(answer, Expected(request_id="r-1", statuses=statuses, check=check_parcel))


def test_a_whole_answer_to_this_request_is_good() -> None:
    found = judged(reply(seal(PARCEL)))
    assert (found.outcome, found.status, found.version, found.replica) == (Outcome.OK, 200, "v1", "app-1.1")
    assert found.data == PARCEL
    assert found.detail is None


@pytest.mark.parametrize("cut", [0, 1, 13, 14, 60, -12, -1])
def test_a_body_that_was_cut_anywhere_is_truncated(cut: int) -> None:
    assert judged(reply(seal(PARCEL)[:cut])).outcome is Outcome.TRUNCATED


@pytest.mark.parametrize(
    "body",
    [
        seal(PARCEL) + b" ",
        seal(PARCEL) + seal(PARCEL),
        b" " + seal(PARCEL),
        seal(PARCEL, length=9),
        seal(PARCEL, request_id="r-2"),
        seal(PARCEL, part="info"),
        seal(PARCEL, part="error"),
        seal(PARCEL).replace(b'"app-1.1"', b"5", 1),
        b"<html>hello</html>",
        b"[]",
        b'{"hello":1}',
        b'{"request_id":"r-1","end":"."}',
        b'{"request_id":\xff"end":"."}',
    ],
)
def test_a_body_that_is_not_the_answer_breaks_the_contract(body: bytes) -> None:
    assert judged(reply(body)).outcome is Outcome.CONTRACT


def test_an_envelope_says_whose_answer_came() -> None:
    found = unseal(seal({}, request_id="r-2"), request_id="r-1")
    assert isinstance(found, Flaw)
    assert found.detail == "the answer is to request 'r-2'"
    assert isinstance(unseal(seal({}, request_id="r-2"), request_id="r-2"), Envelope)


def test_header_and_body_must_name_the_same_replica_and_version() -> None:
    assert judged(reply(seal(PARCEL), version="v9")).outcome is Outcome.CONTRACT
    assert judged(reply(seal(PARCEL), x_lab_replica="app-2.1")).outcome is Outcome.CONTRACT


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (500, Outcome.SERVER_ERROR),
        (503, Outcome.SERVER_ERROR),
        (429, Outcome.SERVER_ERROR),
        (404, Outcome.CONTRACT),
        (201, Outcome.CONTRACT),
        (204, Outcome.CONTRACT),
        (302, Outcome.CONTRACT),
    ],
)
def test_a_status_that_was_not_expected_is_a_failure(status: int, outcome: Outcome) -> None:
    assert judged(reply(seal(PARCEL), status=status)).outcome is outcome


def test_an_answer_made_by_the_proxy_carries_its_reason() -> None:
    found = judged(reply(b"", status=503, x_lab_proxy="no-ready-replica"))
    assert (found.outcome, found.reason) == (Outcome.SERVER_ERROR, "no-ready-replica")
    assert found.detail == "status 503, made by the proxy: no-ready-replica"
    assert judged(reply(seal(PARCEL), x_lab_proxy="bad-request")).outcome is Outcome.CONTRACT


def test_a_database_error_is_kept_with_its_sqlstate() -> None:
    body = seal({"code": "42703", "message": "no such column"}, part="error")
    found = judged(reply(body, status=500, x_lab_error="42703 no such column"))
    assert found.error == "42703 no such column"
    assert found.detail == "status 500: 42703 no such column"


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        (Phase.CONNECTING, Outcome.REFUSED),
        (Phase.SENDING, Outcome.RESET),
        (Phase.WAITING, Outcome.RESET),
        (Phase.HEADER, Outcome.TRUNCATED),
        (Phase.BODY, Outcome.TRUNCATED),
    ],
)
def test_a_broken_connection_is_told_by_how_far_the_exchange_had_come(phase: Phase, outcome: Outcome) -> None:
    assert flaw_of_error(phase, ConnectionResetError(errno.ECONNRESET, "reset")).outcome is outcome
    if phase is not Phase.CONNECTING:
        assert flaw_of_close(phase).outcome is outcome
    assert flaw_of_deadline(phase).outcome is Outcome.TIMEOUT


def test_an_unknown_host_is_refused() -> None:
    assert flaw_of_error(Phase.CONNECTING, socket.gaierror(-2, "unknown")).outcome is Outcome.REFUSED


@pytest.mark.parametrize("shortage", [errno.EMFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS])
def test_what_the_load_itself_ran_short_of_is_not_blamed_on_the_target(shortage: int) -> None:
    assert flaw_of_error(Phase.CONNECTING, OSError(shortage, "short")).outcome is Outcome.NOT_SENT


def test_a_broken_exchange_keeps_its_class_and_detail() -> None:
    names = {"x-lab-version": "v1", "x-lab-replica": "app-1.1"}
    trace = Trace(first_byte=9, connection=2, turn=3)
    found = judged(Broken(flaw=flaw_of_close(Phase.BODY), status=200, headers=names, trace=trace))
    assert (found.outcome, found.trace, found.status) == (Outcome.TRUNCATED, trace, 200)
    assert (found.version, found.replica) == ("v1", "app-1.1")


@pytest.mark.parametrize(
    ("phase", "framing", "kind"),
    [
        (Phase.SENDING, Framing.CLOSE, Kind.CLOSED),
        (Phase.WAITING, Framing.CLOSE, Kind.CLOSED),
        (Phase.HEADER, Framing.CLOSE, Kind.CUT_HEADER),
        (Phase.BODY, Framing.LENGTH, Kind.CUT_LENGTH),
        (Phase.BODY, Framing.CHUNKED, Kind.CUT_CHUNKED),
        (Phase.BODY, Framing.CLOSE, Kind.CUT_CLOSE_DELIMITED),
        (Phase.BODY, Framing.WEBSOCKET, Kind.CUT_WEBSOCKET),
    ],
)
def test_a_cut_has_the_name_of_what_it_cut(phase: Phase, framing: Framing, kind: Kind) -> None:
    assert flaw_of_close(phase, framing).kind is kind


@pytest.mark.parametrize("kind", list(Kind))
def test_through_a_published_port_refused_and_reset_are_one_class_and_nothing_else_changes(kind: Kind) -> None:
    flaw = Flaw(outcome=Outcome.TRUNCATED, kind=kind, detail="so it was")
    silent = kind in {Kind.REFUSED, Kind.UNREACHABLE, Kind.RESET, Kind.CLOSED}
    seen = Flaw(outcome=Outcome.RESET, kind=Kind.NO_ANSWER, detail="so it was") if silent else flaw
    assert seen_through_a_published_port(flaw) == seen


def test_an_answer_that_is_not_sealed_is_checked_by_its_asker_alone() -> None:
    def judged_plain(found: str | None) -> Judgement:
        check = lambda answer, _: found if answer.body == b"hello" else "another body"  # noqa: E731
        expected = Expected(request_id="r-1", statuses=frozenset({200}), check=check, sealed=False)
        return judge(reply(b"hello"), expected)

    assert judged_plain(None).outcome is Outcome.OK
    assert (judged_plain("no").kind, judged_plain("no").detail) == (Kind.WRONG_CONTENT, "no")


@pytest.mark.parametrize("version", ["v2", "v2-never-ready", "v2-exits-at-once"])
def test_every_version_of_the_v2_family_must_give_the_new_names_too(version: str) -> None:
    assert check_parcel(PARCEL, "v1") is None
    assert check_parcel(V2, version) is None
    found = check_parcel(PARCEL, version)
    assert found is not None
    assert found.detail == f"{version} must answer with text: first_name is None, last_name is None"
    assert found.kind is Kind.WRONG_SHAPE
    assert check_parcel({**V2, "recipient_name": None}, version) is not None


@pytest.mark.parametrize("data", [None, [], {}, {**PARCEL, "id": "7"}, {**PARCEL, "id": True}, {**PARCEL, "key": 1}])
def test_a_parcel_of_the_wrong_shape_is_seen(data: object) -> None:
    assert check_parcel(data, "v1") is not None


def test_a_foreign_parcel_is_seen() -> None:
    assert check_parcel(PARCEL, "v1", same=Stored(id=7, key="k")) is None
    assert check_parcel(PARCEL, "v1", same=Stored(id=8, key="k")) is not None
    assert check_parcel(PARCEL, "v1", same=Stored(id=7, key="l")) is not None


def test_what_was_written_must_be_read_in_the_words_of_the_version_that_answers() -> None:
    assert check_parcel(PARCEL, "v1", holds={"address": "1 Harbour Street"}, recipient=ZOE) is None
    assert check_parcel(V2, "v2", recipient=ZOE) is None
    assert check_parcel({**V2, "last_name": "Mueller"}, "v2", recipient=ZOE) is not None
    assert check_parcel(PARCEL, "v1", recipient=Recipient(first="Ada", last="Müller")) is not None
    assert check_parcel(PARCEL, "v1", holds={"address": "2 Harbour Street"}) is not None


@pytest.mark.parametrize(
    ("ids", "following", "right"),
    [
        ([5, 6, 9], None, True),
        ([5, 6, 9], 9, True),
        ([5, 6, 9], 6, False),
        ([5, 6, 9], [], False),
        ([6, 5], None, False),
        ([5, 5], None, False),
        ([4, 5], None, False),
        ([6, 7], None, False),
        ([], None, False),
        ([5, 6, 7, 8], 8, False),
    ],
)
def test_a_page_rises_from_the_parcel_that_was_acknowledged(ids: list[int], following: object, right: bool) -> None:
    data = {"items": [{**PARCEL, "id": number} for number in ids], "next": following}
    problem = check_page(data, "v1", after=4, limit=3, first=Stored(id=5, key="k"))
    assert (problem is None) is right


def test_pages_and_slow_answers_of_the_wrong_shape_are_seen() -> None:
    assert check_page({"items": 5}, "v1", after=0, limit=3) is not None
    assert check_page({"items": [PARCEL], "next": None}, "v2", after=0, limit=3) is not None
    assert check_page({"items": [], "next": None}, "v1", after=0, limit=3) is None
    assert check_page({"items": [], "next": None}, "v1", after=4, limit=3, more=True) is not None
    assert check_slept({"slept": 1.5}, "v1") is None
    assert check_slept({}, "v1") is not None


def test_what_is_known_is_what_was_acknowledged() -> None:
    known = Known()
    assert known.pick(random.Random(1)) is None
    known.add(Stored(id=1, key="k"))
    assert known.pick(random.Random(1)) == Stored(id=1, key="k")


def test_names_have_two_words_so_that_they_split_one_way_only() -> None:
    rng = random.Random(1)
    assert all(some_recipient(rng).name.count(" ") == 1 for _ in range(100))


def test_what_the_app_seals_the_load_can_unseal() -> None:
    body = app.seal(request_id="r-1", sender=app.Sender(version="v1", replica="app-1.1"), data=PARCEL)
    assert unseal(body, request_id="r-1") == Envelope(version="v1", replica="app-1.1", data=PARCEL, error=None)
