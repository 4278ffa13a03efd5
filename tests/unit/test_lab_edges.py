"""The small adapters: the containers' clock, whose lease it was, and what of a revision goes into the journal."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.clock import OffsetClock, measure_clock
from lab.docker_client import check_of
from lab.gateway import ProxyGateway
from lab.lease import is_gone, start_of, this_process
from lab.manifest import read_manifest
from lab.model import Check, OnFail, Order, RolloutSpec
from lab.operations.shape import Shape, spec_of
from lab.operations.timeline import clock_error_of
from lab.ports import Event, Owner
from lab.replica_spec import conceal, reveal
from lab.spec_codec import spec_from_json, spec_to_json

ROOT = Path(__file__).resolve().parents[2]
SECOND, MS = 1_000_000_000, 1_000_000
SECRETS = {"db_password": "0f" * 16, "admin_token": "a1" * 24}


@dataclass
class FarProxy(ProxyGateway):
    """A proxy whose clock is off by so much, and how long each question and each answer travels."""

    ahead_ns: int
    trips: list[tuple[int, int]]
    here_ns: int = 5_000 * SECOND

    def monotonic_ns(self) -> int:
        return self.here_ns

    async def now_ns(self) -> int:
        out, back = self.trips.pop(0)
        self.here_ns += out + back
        return self.here_ns - back + self.ahead_ns


FAST, SLOW, LOPSIDED = (MS, MS), (20 * MS, 20 * MS), (0, 50 * MS)


async def measured(monkeypatch: pytest.MonkeyPatch, ahead_ns: int, *trips: tuple[int, int]) -> tuple[OffsetClock, int]:
    """The clock, and how wrong it is."""
    proxy = FarProxy(ahead_ns=ahead_ns, trips=list(trips))
    monkeypatch.setattr("lab.clock.time", proxy)
    clock = await measure_clock(proxy)
    return clock, abs(clock.now_ns() - (proxy.here_ns + ahead_ns))


@pytest.mark.parametrize("trips", [[FAST] * 5, [LOPSIDED] * 5, [SLOW, FAST, SLOW, LOPSIDED, SLOW]])
async def test_the_same_clock_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, trips: list[tuple[int, int]]) -> None:
    clock, wrong = await measured(monkeypatch, 0, *trips)

    assert (clock.offset_ns, wrong) == (0, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ahead=st.one_of(st.integers(-100 * MS, 100 * MS), st.integers(-(10**15), 10**15)),
    trips=st.lists(st.tuples(st.integers(0, 60 * MS), st.integers(0, 60 * MS)), min_size=5, max_size=5),
)
async def test_no_clock_is_more_wrong_than_it_says(
    monkeypatch: pytest.MonkeyPatch, ahead: int, trips: list[tuple[int, int]]
) -> None:
    clock, wrong = await measured(monkeypatch, ahead, *trips)

    assert wrong <= clock.error_ns + 1


async def test_an_offset_that_the_trip_cannot_explain_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wrong = await measured(monkeypatch, 3 * MS // 2, *[FAST] * 5)

    assert (clock.offset_ns, clock.error_ns, wrong) == (3 * MS // 2, MS, 0)


async def test_the_answer_that_came_back_the_fastest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, wrong = await measured(monkeypatch, 10**12, SLOW, LOPSIDED, FAST, SLOW, SLOW)

    assert (clock.offset_ns, clock.error_ns, wrong) == (10**12, MS, 0)


def owner(**changes: object) -> Owner:
    return replace(this_process(Path("/home/lab")), **changes)  # type: ignore[arg-type]  # the fields of an Owner


def test_a_process_knows_itself() -> None:
    me = owner()

    assert (me.host, me.pid, me.home) == (socket.gethostname(), os.getpid(), "/home/lab")
    assert me.start == start_of(os.getpid())
    assert me.boot
    assert not is_gone(me)


def test_an_owner_is_gone_with_its_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    held = owner(pid=child.pid, start=start_of(child.pid))
    assert not is_gone(held)

    child.communicate()

    assert start_of(child.pid) is None
    assert is_gone(held)


@pytest.mark.parametrize("change", [{"boot": "another boot"}, {"start": "1"}])
def test_a_number_used_again_after_a_boot_or_by_another_process_is_not_the_owner(change: dict[str, str]) -> None:
    assert is_gone(owner(**change))


def test_an_owner_on_another_host_is_never_surely_gone() -> None:
    assert not is_gone(owner(host="elsewhere", boot="another boot", pid=2**30, start="1"))


SPEC = {
    "Env": [f"PGPASSWORD={SECRETS['db_password']}", "A=1"],
    "Labels": {"url": f"http://x:{SECRETS['admin_token']}@y"},
    "Cmd": ["--both", SECRETS["db_password"] + SECRETS["admin_token"]],
}


def test_no_secret_is_in_what_the_journal_keeps_of_a_revision() -> None:
    text = conceal(SPEC, SECRETS)

    assert not [value for value in SECRETS.values() if value in text]
    assert "PGPASSWORD=${secret:db_password}" in text


def test_what_was_concealed_is_filled_in_again_with_the_secrets_of_the_day() -> None:
    text = conceal(SPEC, SECRETS)

    assert json.loads(reveal(text, SECRETS)) == SPEC
    assert json.loads(reveal(text, {"db_password": "new", "admin_token": "er"}))["Cmd"] == ["--both", "newer"]


def test_the_same_spec_is_the_same_text_in_whatever_order_it_came() -> None:
    assert conceal(dict(reversed(SPEC.items())), SECRETS) == conceal(SPEC, SECRETS)


MANIFEST = read_manifest(ROOT / "compose" / "lab.yaml")


def spec(**more: Any) -> RolloutSpec:
    return spec_of(Shape(**more), MANIFEST, replicas=3, target=2, back_to=1)


def test_the_order_says_whether_a_batch_is_surge_or_unavailable() -> None:
    first, second = (spec(order=order, batch="2") for order in (Order.START_FIRST, Order.STOP_FIRST))

    assert (first.surge, first.unavailable) == (2, 0)
    assert (second.surge, second.unavailable) == (0, 2)


def test_a_timeout_that_was_given_counts_even_if_it_is_none_at_all() -> None:
    given, silent = spec(ready_timeout=7.0, drain_timeout=0.0), spec()

    assert (given.ready_timeout, given.drain_timeout) == (7.0, 0.0)
    assert (silent.ready_timeout, silent.drain_timeout) == (30.0, 30.0)


def test_a_spec_that_was_written_down_is_read_as_it_was() -> None:
    written = spec(order=Order.STOP_FIRST, on_fail=OnFail.PAUSE, gates=("error-ratio=5%", "unready-ratio=0%"), bake=7.0)

    assert spec_from_json(json.loads(json.dumps(spec_to_json(written)))) == written


def test_the_worst_clock_of_a_run_s_commands_counts() -> None:
    def measured(error: int) -> Event:
        data = {"offset_ns": 0, "error_ns": error}
        return Event(seq=1, type="clock-measured", run="r", t_ns=1, wall="", data=data)

    assert clock_error_of([measured(100), measured(900), measured(300)]) == 900
    assert clock_error_of([]) is None


@pytest.mark.parametrize(
    ("status", "check"),
    [
        ("Up 3 seconds", None),
        ("Up 3 seconds (health: starting)", Check.STARTING),
        ("Up 2 minutes (healthy)", Check.HEALTHY),
        ("Up 2 minutes (unhealthy)", Check.UNHEALTHY),
        ("Up 2 minutes (Paused)", None),
        ("Exited (0) 2 minutes ago", None),
    ],
)
def test_a_container_s_health_is_read_as_the_engine_lists_it(status: str, check: Check | None) -> None:
    assert check_of({"Status": status}) is check
