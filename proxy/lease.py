"""PURE. The right to change the routes: one owner at a time, with a fence that only rises."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from proxy.errors import LeaseHeldError, NoLeaseError, StaleFenceError

Owner = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    owner: Owner
    fence: int
    ttl_ms: int
    expires_ns: int

    def expires_in_ms(self, now_ns: int) -> int:
        return max(0, (self.expires_ns - now_ns) // 1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leases:
    """The highest fence ever given, and the last lease, which may be over."""

    fence: int = 0
    last: Lease | None = None

    def live(self, now_ns: int) -> Lease | None:
        return self.last if self.last is not None and now_ns < self.last.expires_ns else None

    def take(self, owner: Owner, ttl_ms: int, now_ns: int, *, replace_fence: int | None) -> "Leases":
        holder = self.live(now_ns)
        if holder is not None and replace_fence != holder.fence:
            raise _held(holder, now_ns)
        fence = self.fence + 1
        return Leases(fence=fence, last=_lease(owner, fence, ttl_ms, now_ns))

    def renew(self, owner: Owner, ttl_ms: int, now_ns: int, *, fence: int) -> "Leases":
        """Also when it ran out, as long as nobody took it since: the fence says so."""
        if self.last is None:
            raise NoLeaseError("the lease was given back: take it anew", fence=self.fence)
        if fence != self.last.fence:
            holder = self.live(now_ns)
            if holder is not None:
                raise _held(holder, now_ns)
            raise StaleFenceError(f"fence {fence} is over, the last was {self.fence}", fence=self.fence)
        return replace(self, last=_lease(owner, fence, ttl_ms, now_ns))

    def give_back(self, *, fence: int) -> "Leases":
        if self.last is None:
            return self
        if fence != self.last.fence:
            raise StaleFenceError(f"fence {fence} does not hold the lease, {self.last.fence} does", fence=self.fence)
        return replace(self, last=None)

    def check(self, fence: int, now_ns: int) -> None:
        if fence != self.fence:
            raise StaleFenceError(
                f"fence {fence} may change nothing: the proxy has given out {self.fence}", fence=self.fence
            )
        if self.live(now_ns) is None:
            raise NoLeaseError("the lease has run out or was given back: renew or take it first", fence=self.fence)


def _lease(owner: Owner, fence: int, ttl_ms: int, now_ns: int) -> Lease:
    return Lease(owner=owner, fence=fence, ttl_ms=ttl_ms, expires_ns=now_ns + ttl_ms * 1_000_000)


def _held(holder: Lease, now_ns: int) -> LeaseHeldError:
    left = holder.expires_in_ms(now_ns)
    who = f"process {holder.owner.get('pid')} on {holder.owner.get('host')} ({holder.owner.get('command')})"
    return LeaseHeldError(
        f"the lease is held by {who} for another {left} ms",
        holder=dict(holder.owner),
        fence=holder.fence,
        expires_in_ms=left,
    )
