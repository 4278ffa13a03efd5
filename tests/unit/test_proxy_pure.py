"""The small decisions: what probes prove, who holds the lease, which fields go on."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import LeaseHeldError, NoLeaseError, RefusedStartError, StaleFenceError
from proxy.event_stream import EventBoundary
from proxy.fields import Framing
from proxy.frames import FrameBoundary, close_frame
from proxy.lease import Leases
from proxy.readiness import Readiness, Standing, errored, judge, pause_ms, verdict_on
from proxy.requests import Inbound, Refusal, RequestReader, forwarding_lines, request_head
from proxy.settings import Limits, from_environment
from proxy.transitions import Health

MS = 1_000_000
ME = {"host": "h", "boot": "b", "pid": 1, "start": "s", "command": "lab roll", "home": "/h"}
YOU = {**ME, "pid": 2}
READINESS = Readiness(
    path="/readyz",
    passes=2,
    min_ready_ms=100,
    interval_ms=1000,
    fast_interval_ms=50,
    timeout_ms=10,
    fails=3,
    identity=True,
)


def after(*probes: tuple[bool, int]) -> Standing:
    standing = Standing()
    for ok, at_ms in probes:
        standing = judge(standing, READINESS, ok=ok, now_ns=at_ms * MS)
    return standing


@pytest.mark.parametrize(
    ("probes", "proven"),
    [
        ([], False),
        ([(True, 0)], False),
        ([(True, 0), (True, 99)], False),
        ([(True, 0), (True, 100)], True),
        ([(True, 0), (False, 50), (True, 100), (True, 110)], False),
        ([(True, 0), (False, 50), (True, 100), (True, 200)], True),
        ([(True, 0), (True, 100), (False, 150)], False),
    ],
)
def test_proven_is_k_passes_unbroken_for_min_ready(probes: list[tuple[bool, int]], proven: bool) -> None:
    assert after(*probes).proven is proven


def test_one_pass_brings_a_replica_up_and_only_failures_in_a_row_eject_it() -> None:
    assert after().health is Health.UNPROVEN
    assert after((False, 0), (False, 1), (False, 2), (False, 3)).health is Health.UNPROVEN
    up: list[tuple[bool, int]] = [(True, 0)]
    assert after(*up).health is Health.UP
    assert after(*up, (False, 1), (False, 2)).health is Health.UP
    assert after(*up, (False, 1), (False, 2), (True, 3), (False, 4), (False, 5)).health is Health.UP
    assert after(*up, (False, 1), (False, 2), (False, 3)).health is Health.EJECTED


def test_probes_are_fast_until_proven() -> None:
    assert pause_ms(after((True, 0)), READINESS) == 50
    assert pause_ms(after((True, 0), (True, 100)), READINESS) == 1000
    assert pause_ms(after(), READINESS) == 50


def test_what_fails_for_long_is_probed_less_and_less_often_and_is_noticed_late_by_a_small_part_of_that() -> None:
    waited, late = 0, []
    for many in range(400):
        pause = pause_ms(after(*[(False, n) for n in range(many)]), READINESS)
        late += [pause / waited] if waited >= 1000 else []
        waited += pause
    assert pause == READINESS.interval_ms
    assert max(late) < 0.06


def test_how_often_it_relapsed_and_fell_and_since_when_is_kept() -> None:
    fall = [(True, 0), (False, 1), (False, 2), (False, 3), (False, 4)]
    fallen = after(*fall)
    again = after(*fall, (True, 5), (False, 6), (True, 7), (False, 8), (False, 9), (False, 10))

    assert (fallen.relapses, fallen.falls, fallen.ejected_ns) == (1, 1, 3 * MS)
    assert after(*fall, (True, 5)).ejected_ns is None
    assert (again.relapses, again.falls, again.ejected_ns) == (3, 2, 10 * MS)
    out = errored(errored(after((True, 0)), limit=2, out_ns=MS, now_ns=1), limit=2, out_ns=MS, now_ns=2)
    assert (out.falls, out.ejected_ns) == (1, 2)
    assert judge(out, READINESS, ok=False, now_ns=3).falls == 1


def test_one_that_was_up_is_given_a_tenth_of_the_interval_between_the_failures_that_eject_it() -> None:
    hasty = replace(READINESS, fast_interval_ms=10)

    assert pause_ms(after((True, 0), (True, 100), (False, 1100)), hasty) == 100
    assert pause_ms(after((True, 0)), hasty) == 11, "ten of them are past min-ready"


def test_only_a_200_of_the_right_replica_is_ready() -> None:
    assert verdict_on(READINESS, "app-1.1", status=200, identity="app-1.1") == ""
    assert "503" in verdict_on(READINESS, "app-1.1", status=503, identity="app-1.1")
    assert "app-1.0" in verdict_on(READINESS, "app-1.1", status=200, identity="app-1.0")
    assert "X-Lab-Replica" in verdict_on(READINESS, "app-1.1", status=200, identity=None)


def test_fences_rise_with_every_lease_and_only_the_last_may_change_anything() -> None:
    first = Leases().take(ME, 10, 0, replace_fence=None)
    with pytest.raises(LeaseHeldError) as held:
        first.take(YOU, 10, 9 * MS, replace_fence=None)
    assert (held.value.details["holder"], held.value.details["expires_in_ms"]) == (ME, 1)
    second = first.take(YOU, 10, 10 * MS, replace_fence=None)
    assert second.fence == first.fence + 1
    second.check(second.fence, 10 * MS)
    for wrong in (first.fence, second.fence + 1):
        with pytest.raises(StaleFenceError):
            second.check(wrong, 10 * MS)
    with pytest.raises(NoLeaseError):
        second.check(second.fence, 20 * MS)


def test_a_renewal_keeps_the_fence_and_comes_too_late_once_another_has_it() -> None:
    first = Leases().take(ME, 10, 0, replace_fence=None)
    renewed = first.renew(ME, 10, 50 * MS, fence=first.fence)
    renewed.check(first.fence, 59 * MS)
    other = renewed.take(YOU, 10, 60 * MS, replace_fence=None)
    with pytest.raises(LeaseHeldError):
        other.renew(ME, 10, 61 * MS, fence=first.fence)
    with pytest.raises(StaleFenceError):
        other.renew(ME, 10, 90 * MS, fence=first.fence)


def test_what_was_given_back_can_be_taken_but_not_renewed() -> None:
    first = Leases().take(ME, 10, 0, replace_fence=None)
    with pytest.raises(StaleFenceError):
        first.give_back(fence=first.fence - 1)
    free = first.give_back(fence=first.fence)
    assert free.give_back(fence=first.fence) == free
    with pytest.raises(NoLeaseError):
        free.renew(ME, 10, 1, fence=first.fence)
    assert free.take(YOU, 10, 1, replace_fence=None).fence == first.fence + 1


def parsed(*fields: tuple[bytes, bytes], method: bytes = b"GET", http10: bool = False) -> Inbound | Refusal:
    reader = RequestReader(
        request_line=8190,
        header_bytes=32768,
        header_count=100,
        body_bytes=0,
        pseudonym=b"rolling-lab",
        new_id=lambda: b"id",
    )
    _, found = reader.read(
        method,
        b"/",
        (*fields, (b"Host", b"a.test")),
        keep_alive=True,
        version=(1, 0) if http10 else (1, 1),
        upgrade=False,
    )
    return found


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ([], Framing.NONE),
        ([(b"Content-Length", b"0")], Framing.LENGTH),
        ([(b"Transfer-Encoding", b"Chunked")], Framing.CHUNKED),
    ],
)
def test_the_framing_of_a_request_is_kept(fields: list[tuple[bytes, bytes]], framing: Framing) -> None:
    inbound = parsed(*fields, method=b"POST")
    assert isinstance(inbound, Inbound)
    assert inbound.framing is framing


@pytest.mark.parametrize(
    ("fields", "http10", "status"),
    [
        ([(b"Transfer-Encoding", b"")], False, 400),
        ([(b"Transfer-Encoding", b"chunked")], True, 400),
        ([(b"Transfer-Encoding", b"gzip, chunked")], False, 501),
        ([(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")], False, 501),
        ([(b"Host", b"b.test")], False, 400),
    ],
)
def test_a_request_whose_framing_or_host_is_in_doubt_is_refused(
    fields: list[tuple[bytes, bytes]], http10: bool, status: int
) -> None:
    refusal = parsed(*fields, http10=http10)
    assert isinstance(refusal, Refusal)
    assert refusal.status == status


def test_an_upgrade_other_than_websocket_is_left_out_rather_than_refused() -> None:
    inbound = parsed(
        (b"Connection", b"Upgrade, HTTP2-Settings"), (b"Upgrade", b"h2c"), (b"HTTP2-Settings", b"AAMAAABk")
    )
    assert isinstance(inbound, Inbound)
    head = request_head(inbound, 1, b"10.0.0.1:80", b"").lower()
    assert b"h2c" not in head
    assert b"http2-settings" not in head
    assert head.startswith(b"get / http/1.1\r\nhost: a.test\r\n")


_FIELDS = st.lists(
    st.sampled_from(
        [
            (b"Host", b"a.test"),
            (b"host", b"b.test"),
            (b"Accept", b"*/*"),
            (b"X-Lab-Request-Id", b"r-1"),
            (b"X-Lab-Request-Id", b"r-2"),
            (b"x-lab-request-id", b"not one"),
            (b"Content-Length", b"5"),
            (b"Connection", b"keep-alive"),
            (b"Connection", b"X-Hop"),
            (b"X-Hop", b"1"),
            (b"Via", b"1.1 other"),
        ]
    ),
    max_size=5,
).map(tuple)


_TARGETS = st.sampled_from([b"/", b"/b", b"http://c.test/d", b"http://a.test/e", b"*"])


@example(((b"Host", b"a.test"),), (), b"http://c.test/d", b"/b", True)
@example(((b"Host", b"a.test"), (b"X-Lab-Request-Id", b"r-1"), (b"X-Lab-Request-Id", b"r-2")), (), b"/", b"/", True)
@given(_FIELDS, _FIELDS, _TARGETS, _TARGETS, st.booleans())
def test_what_is_taken_over_from_the_request_before_is_what_would_have_been_read(
    before: tuple[tuple[bytes, bytes], ...],
    now: tuple[tuple[bytes, bytes], ...],
    first_target: bytes,
    target: bytes,
    same: bool,
) -> None:
    reader = RequestReader(
        request_line=8190,
        header_bytes=32768,
        header_count=100,
        body_bytes=0,
        pseudonym=b"me",
        new_id=lambda: b"id",
    )

    def read(fields: tuple[tuple[bytes, bytes], ...], last: Inbound | None) -> tuple[object, ...]:
        request_id, found = reader.read(
            b"GET", target, fields, keep_alive=True, version=(1, 1), upgrade=False, last=last
        )
        if isinstance(found, Refusal):
            return request_id, found
        head = request_head(found, 1, b"h:1", b"Via: 1.1 me\r\n")
        return request_id, head, found.framing, found.length, found.host, found.may_repeat, found.keep_alive

    _, first = reader.read(b"GET", first_target, before, keep_alive=True, version=(1, 1), upgrade=False)
    last = first if isinstance(first, Inbound) and first.fields else None
    fields = before if same else now
    assert read(fields, last) == read(fields, None)


def test_what_is_forwarded_is_quoted_where_it_must_be() -> None:
    lines = forwarding_lines(b"2001:db8::1", b"a.test:8080", (), via=b"me").decode()
    assert 'Forwarded: for="[2001:db8::1]";host="a.test:8080";proto=http\r\n' in lines
    assert "Via: 1.1 me\r\n" in lines


def test_what_a_trusted_peer_said_is_kept_and_added_to() -> None:
    said = ((b"x-forwarded-for", b"9.9.9.9"), (b"x-forwarded-proto", b"https"), (b"forwarded", b"for=9.9.9.9"))
    lines = forwarding_lines(b"10.0.0.1", b"a.test", said, via=b"me").decode()
    assert "X-Forwarded-For: 9.9.9.9, 10.0.0.1\r\n" in lines
    assert "X-Forwarded-Proto: https\r\n" in lines
    assert "Forwarded: for=9.9.9.9, for=10.0.0.1;host=a.test;proto=http\r\n" in lines


def _events(ending: str) -> bytes:
    return "".join(f"id: {n}{ending}data: x{ending}{ending}" for n in range(3)).encode()


@given(st.sampled_from(["\n", "\r\n", "\r"]), st.integers(0, 60), st.integers(1, 7))
def test_an_event_ends_at_its_blank_line_however_it_is_cut_up(ending: str, at: int, step: int) -> None:
    stream = _events(ending)
    at = min(at, len(stream))
    boundary = EventBoundary()
    for start in range(0, at, step):
        boundary.feed(stream[start : min(start + step, at)])
    ends = {0} | {stream.index(f"id: {n}".encode()) for n in (1, 2)} | {len(stream)}
    if at in ends:
        assert boundary.reached
    elif at > 0 and not stream[:at].endswith(ending.encode() * 2 if ending != "\r\n" else b"\r\n\r"):
        assert not boundary.reached
        end = boundary.first_in(stream[at:])
        assert end is not None
        assert at + end in {min(each for each in ends if each > at), min(each for each in ends if each > at) - 1}


@given(st.lists(st.tuples(st.integers(0, 70_000), st.booleans()), min_size=1, max_size=4), st.integers(1, 9000))
def test_a_frame_ends_where_its_length_says_however_it_is_cut_up(frames: list[tuple[int, bool]], step: int) -> None:
    stream, ends = b"", {0}
    for length, masked in frames:
        stream += _frame(length, masked=masked)
        ends.add(len(stream))
    boundary, at = FrameBoundary(), 0
    while at < len(stream):
        boundary.feed(stream[at : at + step])
        at = min(at + step, len(stream))
        assert boundary.reached == (at in ends)
    cutter = FrameBoundary()
    cutter.feed(stream[:1])
    assert cutter.first_in(stream[1:]) == sorted(ends)[1] - 1


def _frame(length: int, *, masked: bool) -> bytes:
    mask = 0x80 if masked else 0
    if length < 126:
        head = bytes([0x82, mask | length])
    elif length < 65536:
        head = bytes([0x82, mask | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([0x82, mask | 127]) + length.to_bytes(8, "big")
    return head + (b"mask" if masked else b"") + b"\xff" * length


def test_a_close_frame_says_its_code_masked_or_not() -> None:
    assert close_frame(1001) == b"\x88\x02\x03\xe9"
    masked = close_frame(1001, b"abcd")
    assert masked[:6] == b"\x88\x82abcd"
    assert bytes([masked[6] ^ ord("a"), masked[7] ^ ord("b")]) == b"\x03\xe9"


def test_every_limit_can_be_set_by_the_environment_and_a_wrong_one_is_named() -> None:
    found = from_environment(
        {"LAB_ADMIN_TOKEN": "t", "LAB_HOLD_SECONDS": "2.5", "LAB_ATTEMPTS": "2", "LAB_TRUSTED_PEERS": "10.0.0.0/8"}
    )
    assert found.limits == Limits(hold_seconds=2.5, attempts=2, trusted_peers=("10.0.0.0/8",))
    for name, value in (("LAB_ATTEMPTS", "many"), ("LAB_IDLE_SECONDS", "-1"), ("LAB_TRUSTED_PEERS", "10.0.0.0/99")):
        with pytest.raises(RefusedStartError, match=name):
            from_environment({"LAB_ADMIN_TOKEN": "t", name: value})
