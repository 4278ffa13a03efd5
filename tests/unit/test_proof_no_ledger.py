"""An app without the lab's ledger: what is still proved of it, what is not, and that the verdict says so."""

from dataclasses import replace

from lab.proof import Service, Verdict, VerdictOutcome
from lab.report import render_text
from tests.golden_files import check
from tests.unit.proof_world import START, Story, Try, World, tell

UNPROVED = "the app keeps no ledger"


def told(*stories: Story) -> World:
    """By an app whose answers bear no name, whose log is its own, and that has no database of ours."""
    services = (Service(replica="app-1.2", from_ns=START), Service(replica="app-2.2", from_ns=START))
    world = tell(*stories, ledger=False, services=services, fleet={"app-1.1": "v1", "app-2.1": "v1"})
    for row in world.client:
        if row["e"] == "end":
            row.update(version=None, replica=None, ack=None)
    world.client = [{key: value for key, value in row.items() if value is not None} for row in world.client]
    world.apps, world.executions, world.parcels = {}, [], set()
    world.database_read = False
    return world


def by(replica: str, **changes: object) -> Story:
    return replace(Story(tries=(Try(replica=replica),)), **changes)  # type: ignore[arg-type]


def verdict(*stories: Story) -> Verdict:
    return told(*stories).verdict()


def test_whole_answers_pass_and_what_is_not_proved_is_said() -> None:
    found = verdict(by("app-1.1"), by("app-2.1"), by("app-1.2"))

    assert found.outcome is VerdictOutcome.PASS
    assert [note for note in found.notes if UNPROVED in note]
    assert not [note for note in found.notes if note.startswith("no log of")]


def test_the_proxy_s_ledger_tells_who_answered() -> None:
    found = verdict(by("app-1.1"), by("app-1.2"), by("app-2.2"), by("app-1.2", outcome="server_error", status=500))

    assert found.versions == {"v1": 1, "v2": 3}
    (drop,) = found.drops
    assert (drop.replica, drop.version, drop.app_saw) == ("app-1.2", "v2", "no log")


def test_a_write_is_judged_by_its_answer_and_its_effect_is_named_as_unproved() -> None:
    found = verdict(by("app-1.1"), by("app-1.2", method="POST", cohort="buy"))

    assert found.outcome is VerdictOutcome.PASS
    assert [reason.id for reason in found.reasons] == []
    assert "took effect once" in " ".join(found.notes)


def test_a_write_that_the_proxy_sent_twice_is_a_drop_without_any_ledger_of_the_app() -> None:
    twice = Story(method="POST", cohort="buy", tries=(Try(result="reset"), Try(replica="app-1.2")))

    assert [drop.cls for drop in verdict(by("app-1.1"), twice).drops] == ["masked"]


def test_the_sample_app_s_own_verdict_has_no_such_note() -> None:
    assert not [note for note in tell(by("app-1.1")).verdict().notes if UNPROVED in note]


def test_this_is_what_a_person_reads_of_it() -> None:
    check("report/own_app", render_text(verdict(*(by("app-1.1") for _ in range(3)), by("app-1.2")), details=True))
