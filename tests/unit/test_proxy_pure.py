"""The small decisions: what probes prove, who holds the lease, which fields go on."""

import pytest

from proxy.errors import LeaseHeldError, NoLeaseError, StaleFenceError
from proxy.headers import Framing, Inbound, Refusal, read_request, request_head
from proxy.lease import Leases
from proxy.readiness import Readiness, Standing, judge, pause_ms, verdict_on
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
    assert after().health is Health.EJECTED
    up: list[tuple[bool, int]] = [(True, 0)]
    assert after(*up).health is Health.UP
    assert after(*up, (False, 1), (False, 2)).health is Health.UP
    assert after(*up, (False, 1), (False, 2), (True, 3), (False, 4), (False, 5)).health is Health.UP
    assert after(*up, (False, 1), (False, 2), (False, 3)).health is Health.EJECTED


def test_probes_are_fast_until_proven() -> None:
    assert pause_ms(after((True, 0)), READINESS) == 50
    assert pause_ms(after((True, 0), (True, 100)), READINESS) == 1000


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
    return read_request(
        method=method,
        target=b"/",
        fields=(*fields, (b"Host", b"a.test")),
        request_id=b"id",
        keep_alive=True,
        http10=http10,
        remote=b"10.0.0.9",
    )


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
    head = request_head(inbound, attempt=1, address="10.0.0.1:80").lower()
    assert b"h2c" not in head
    assert b"http2-settings" not in head
    assert head.startswith(b"get / http/1.1\r\nhost: a.test\r\n")
