"""The guard: every proof is asked for, each failure is named with its holder and with what helps."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lab.folds import history_of
from lab.migrate import ChangePlan, Phase
from lab.migrate.guard import Evidence, Holder, Standing, Target, proofs, refusal, roll_refusal
from lab.model import Container, Health, Place
from lab.operations.schema import containers_of, quiet_of, routes_of, targets_of
from lab.operations.targets import rollback_target
from lab.ports import Event, Route, Seen

V1 = frozenset({"v1"})
CLEAN = Evidence(goal="contracted", versions=V1, soak=60, quiet=61)
HOLDER = Holder(version="v1", name="app-2.1", pid=7, seconds=12)
STANDING = Standing(replica="app-2.1", version="v1", state="running")
TARGET = Target(revision=1, version="v1", serves_as="v1", why="a rollback target", may_be_given_up=True)


def test_with_every_proof_nothing_is_refused() -> None:
    assert refusal(CLEAN) is None
    assert all(proof.holds for proof in proofs(CLEAN))


@pytest.mark.parametrize(
    ("change", "where", "fix"),
    [
        ({"leases": (HOLDER,)}, "leases: app-2.1 holds a lease for v1, since 12 s", "lab roll"),
        (
            {"leases": (replace(HOLDER, version=None),)},
            "leases: app-2.1 holds a lease for an unknown version",
            "lab roll",
        ),
        ({"containers": (STANDING,)}, "containers: app-2.1 (v1, running)", "lab roll"),
        ({"routes": (STANDING,)}, "routes: app-2.1 (v1, running)", "lab roll"),
        ({"wrong": {"missing": 0, "diverged": 2}}, "data: diverged 2", "lab migrate backfill"),
        ({"targets": (TARGET,)}, "targets: v1 (revision 1, a rollback target)", "lab migrate contract --give-up v1"),
        ({"quiet": 59.0}, "soak: 59 s of 60 s", "wait: v1 has to be away for 60 s"),
        ({"quiet": None}, "soak: no end of it is known", "wait"),
        ({"unknown": ("the proxy",)}, "unknown: the proxy", "lab up"),
    ],
)
def test_each_proof_that_is_missing_refuses_alone(change: dict[str, object], where: str, fix: str) -> None:
    refused = refusal(replace(CLEAN, **change))  # type: ignore[arg-type]
    assert refused is not None
    assert (refused.id, refused.exit_code) == ("schema-guard", 3)
    assert refused.what == "contracted takes v1 away, and v1 could still run"
    assert refused.where.startswith(where)
    assert len(refused.where.splitlines()) == 1
    assert refused.fix.startswith(fix)


def test_giving_up_a_target_leaves_every_other_proof_asked_for() -> None:
    refused = refusal(replace(CLEAN, leases=(HOLDER,), quiet=1.0))
    assert refused is not None
    assert [line.split(":")[0] for line in refused.where.splitlines()] == ["leases", "soak"]


PHASES = [("base", {"v1"}), ("both", {"v1", "v2"}), ("contracted", {"v2"})]
PLAN = ChangePlan(
    id="c",
    phases=tuple(Phase(name=n, serves=frozenset(s), up=None, backfill=None, verify=None) for n, s in PHASES),
    versions=("v1", "v2"),
)


@pytest.mark.parametrize(
    ("phase", "version", "gone", "refused"),
    [
        ("both", "v1", {}, False),
        ("both", "v2", {}, False),
        ("contracted", "v2", {}, False),
        ("contracted", "v1", {}, True),
        ("both", "v1", {"v1": "contracted"}, True),  # half contracted
        ("base", "v2", {}, False),  # not served, but not gone: --anyway may show it
        ("none", "v1", {}, False),
    ],
)
def test_a_version_that_is_gone_can_not_be_rolled_to(
    phase: str, version: str, gone: dict[str, str], refused: bool
) -> None:
    error = roll_refusal(PLAN, phase, version, gone)
    assert (error is not None) == refused
    if error:
        assert (error.id, error.exit_code) == ("version-gone", 3)
        assert error.what == f"the schema is contracted: {version} can never run on it again"


def event(type: str, run: str = "r", wall: str = "2026-01-01T00:00:00+00:00", **data: object) -> Event:
    return Event(seq=1, type=type, run=run, t_ns=1, wall=wall, data=data)


def revision(number: int, version: str) -> Event:
    return event("revision-recorded", number=number, version=version, serves_as=version[:2], image_id="", spec="")


def reached(number: int) -> list[Event]:
    started = event("rollout-started", target=number, kind="roll", replicas=3)
    return [started, event("rollout-ended", reached=number)]


EVENTS = [revision(1, "v1"), revision(2, "v2-fast"), *reached(1), *reached(2)]


def test_the_revision_that_a_rollback_would_lead_to_is_a_target_until_it_is_given_up() -> None:
    history = history_of(EVENTS)
    assert [(t.revision, t.serves_as, t.may_be_given_up) for t in targets_of(history, V1, [])] == [(1, "v1", True)]
    assert targets_of(history, V1, ["v1"]) == ()
    assert targets_of(history, frozenset({"v9"}), []) == ()


def test_what_the_fleet_runs_and_what_a_rollout_has_not_ended_with_cannot_be_given_up() -> None:
    back = history_of([*EVENTS, *reached(1)])
    assert [(t.revision, t.why) for t in targets_of(back, V1, ["v1"])] == [(1, "the fleet's own")]
    rolling = history_of([*EVENTS, event("rollout-started", target=1, kind="roll", replicas=3)])
    assert [(t.revision, t.why) for t in targets_of(rolling, V1, ["v1"])] == [(1, "its rollout has not ended")]


def test_a_version_that_was_given_up_is_no_target_any_more_and_it_is_said_why() -> None:
    given = event("versions-given-up", "", phase="contracted", versions=["v1"], revisions=[1], forced=None)
    history = history_of([*EVENTS, given])
    assert (history.previous, history.targets, history.given_up) == (None, (), {1})
    with pytest.raises(Exception, match="the schema was contracted, and no longer serves it"):
        rollback_target(history, "v1")
    assert history_of([*EVENTS, given, event("lab-removed", removed=3)]).given_up == frozenset()


def seen(name: str, number: int, container: Container = Container.RUNNING) -> Seen:
    return Seen(
        name=name, slot=1, generation=1, revision=number, version="v1" if number == 1 else "v2-fast",
        container=container, container_id=name,
    )  # fmt: skip


def test_every_container_that_is_not_over_and_every_route_counts() -> None:
    history = history_of(EVENTS)
    fleet = [seen("a", 1), seen("b", 2), seen("c", 1, Container.EXITED), seen("d", 1, Container.CREATED)]
    assert [s.replica for s in containers_of(history, fleet, V1)] == ["a", "d"]
    route = Route(
        name="a", slot=1, generation=1, version="v1", address="", place=Place.DRAINING, health=Health.UP, proven=True,
        in_flight=2, claimed=2, aborted=0, joined_ns=0, retired_ns=1, deadline_ns=2, probe=None,
    )  # fmt: skip
    routes = [route, replace(route, name="b", version="v2-fast"), replace(route, name="ghost")]
    assert [(s.replica, s.state) for s in routes_of(history, fleet, routes, V1)] == [
        ("a", "draining, 2 in flight"),
        ("ghost", "draining, 2 in flight"),
    ]


def test_the_soak_begins_with_the_last_word_of_any_of_its_replicas() -> None:
    history = history_of(EVENTS)
    now = datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC)
    stop = event("act-done", wall="2026-01-01T00:00:20+00:00", replica="app-1.1", version="v1", verb="stop")
    later = event("act-done", wall="2026-01-01T00:00:50+00:00", replica="app-1.2", version="v2-fast", verb="admit")
    assert quiet_of(history, [stop, later], V1, since=500, now=now) == 40
    assert quiet_of(history, [stop, later], V1, since=30, now=now) == 30
    assert quiet_of(history, [later], V1, since=500, now=now) == 500
