"""The catalogue of changes, and what the classifier makes of answers that carry no SQLSTATE."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.compat.catalogue import Symptom, catalogue
from lab.compat.classifier import Cause, Evidence, classify, differences
from lab.compat.ddl import operations
from lab.compat.explain import Explainer
from lab.compat.model import Failure
from lab.migrate import read_plan

names = st.from_regex(r"[a-z][a-z0-9_]{3,12}", fullmatch=True)
several = st.lists(names, min_size=4, max_size=4, unique=True)


def told(evidence: Evidence) -> str | None:
    finding = classify(evidence, catalogue())
    return finding.change.id if finding.change else None


def test_the_catalogue_has_every_change_once_with_its_fix_and_its_safe_way() -> None:
    changes = catalogue().changes

    assert [change.number for change in changes] == list(range(1, 27))
    assert len({change.id for change in changes}) == 26
    for change in changes:
        assert change.steps, change.id
        assert change.sqlstates or change.symptoms or change.statuses, change.id
        assert len(change.safe) >= 2, change.id


def test_no_step_makes_two_changes_at_once_by_the_same_sign() -> None:
    """Else which of them is told would be chance."""
    for change in catalogue().changes:
        for other in catalogue().changes:
            if change.id < other.id:
                assert not set(change.steps) & set(other.steps), (change.id, other.id)


@given(several)
def test_a_field_that_an_answer_lacks_is_told_by_any_name(names: list[str]) -> None:
    missing, retyped = differences({names[0]: 1}, {names[0]: 1, names[1]: "x"})

    assert (missing, retyped) == ((names[1],), ())
    assert told(Evidence(symptom=Symptom.SHAPE, missing=missing)) == "remove-json-field"


@given(several)
def test_a_field_of_another_type_is_told_by_any_name_and_depth(names: list[str]) -> None:
    missing, retyped = differences({names[0]: [{names[1]: {}}]}, {names[0]: [{names[1]: "x"}]})

    assert (missing, retyped) == ((), (f"{names[0]}.0.{names[1]}",))
    assert told(Evidence(symptom=Symptom.SHAPE, retyped=retyped)) == "change-json-type"


@given(several)
def test_a_type_that_the_schema_changed_is_no_change_of_the_api(names: list[str]) -> None:
    table, column, *_ = names
    steps = (f"alter table {table} alter column {column} type smallint using 1",)

    assert told(Evidence(symptom=Symptom.SHAPE, retyped=(column,), steps=steps)) == "change-type"


@given(several)
def test_a_default_that_changed_explains_a_value_and_no_field_that_is_missing(names: list[str]) -> None:
    table, column, other, value = names
    steps = (f"alter table {table} alter column {column} set default '{value}'",)

    assert told(Evidence(symptom=Symptom.SHAPE, steps=steps)) == "change-default"
    assert told(Evidence(symptom=Symptom.SHAPE, steps=steps, missing=(other,))) == "remove-json-field"


@pytest.mark.parametrize(
    ("method", "path", "status", "change"),
    [
        ("POST", "/things", 422, "tighten-validation"),
        ("PATCH", "/things/1", 400, "tighten-validation"),
        ("GET", "/things?after=abc", 400, "change-paging"),
        ("GET", "/assets/app.1a2b.js", 404, "change-stored-format"),
        ("GET", "/me", 401, "change-stored-format"),
    ],
)
def test_a_request_that_only_one_version_refuses_is_told_by_its_kind(
    method: str, path: str, status: int, change: str
) -> None:
    refused = Evidence(method=method, path=path, status=status)

    assert told(refused) == change
    everybody = Evidence(method=method, path=path, status=status, others_accept=False)
    assert classify(everybody, catalogue()).cause is Cause.UNKNOWN


@given(several, st.sampled_from([Symptom.STALE, Symptom.LOST, Symptom.NULL]))
def test_a_copy_that_nothing_keeps_equal_is_told_from_one_that_a_trigger_does(
    names: list[str], symptom: Symptom
) -> None:
    table, old, new, other = names
    copied = (f"alter table {table} add column {new} text", f"update {table} set {new} = {old}")
    two = (
        f"alter table {table} add {new} text, add {other} text",
        f"update {table} set {new} = {old}, {other} = {old}",
    )

    assert told(Evidence(symptom=symptom, steps=copied)) == "read-your-writes"
    assert told(Evidence(symptom=symptom, steps=two)) == "split-column"
    synced = (*copied, f"create trigger x before insert on {table} for each row execute function f()")
    assert "copy-without-sync" not in {operation.kind for operation in operations(synced)}


@given(several, st.sampled_from(["57014", "55P03", "08006"]))
def test_who_waited_too_long_is_told_for_what(names: list[str], sqlstate: str) -> None:
    table, column, index, _ = names
    reasons = {
        "build-index": f"create index {index} on {table} ({column})",
        "unbatched-backfill": f"update {table} set {column} = 'x'",
        "lock-queue": f"alter table {table} add column {column} text",
        "add-computed-column": f"alter table {table} add column {column} bigserial",
    }
    for change, step in reasons.items():
        finding = classify(Evidence(sqlstate=sqlstate, steps=(step,)), catalogue())
        assert (finding.change and finding.change.id, finding.cause) == (change, Cause.WAITING), step
    beside = ("set local lock_timeout = 0", reasons["build-index"])
    assert told(Evidence(sqlstate=sqlstate, steps=beside)) == "lock-queue"


def test_a_database_that_was_not_there_says_nothing_of_the_versions() -> None:
    finding = classify(Evidence(sqlstate="57P01", message="terminating connection"), catalogue())

    assert (finding.cause, finding.change) == (Cause.ENVIRONMENT, None)


@given(several)
def test_what_no_step_explains_is_unknown_with_every_fact_that_was_given(names: list[str]) -> None:
    table, column, other, value = names
    step = f"comment on table {table} is '{value}'"
    evidence = Evidence(
        sqlstate="P0001", message=f"{column} said no", statement=f"select {other}", steps=(step,), status=500
    )
    finding = classify(evidence, catalogue())

    assert (finding.cause, finding.change, finding.possible) == (Cause.UNKNOWN, None, ())
    facts = "\n".join(finding.facts)
    for fact in ("P0001", f"{column} said no", f"select {other}", step, "500"):
        assert fact in facts


@given(st.lists(st.text(max_size=60), max_size=4), st.text(max_size=30), st.sampled_from(list(Symptom)))
def test_whatever_the_evidence_there_is_a_finding(steps: list[str], message: str, symptom: Symptom) -> None:
    finding = classify(Evidence(symptom=symptom, message=message, steps=tuple(steps), sqlstate="42703"), catalogue())

    assert finding.fix


@pytest.mark.parametrize(
    ("symptom", "what", "entry"),
    [
        (Symptom.SHAPE, "old: address is missing", "remove-json-field"),
        (Symptom.SHAPE, "old: data: 'address' is a required property", "remove-json-field"),
        (Symptom.SHAPE, "old: data.status: 1 is not of type 'string'", "change-json-type"),
        (Symptom.LOST, "address is {'street': 'x'}, not 'x'", "change-json-type"),
        (Symptom.LOST, "address is 'y', not 'x'", "read-your-writes"),
    ],
)
def test_what_the_matrix_says_of_an_answer_leads_to_its_entry(symptom: Symptom, what: str, entry: str) -> None:
    plan = read_plan(Path(__file__).resolve().parents[2] / "sample_app" / "scenarios" / "select-star/naive/plan.toml")
    failure = Failure(level=2, symptom=symptom, what=what, request="GET /things/1", response="200 {}")

    assert Explainer(plan=plan, steps={}).explained(failure, "old", "noted").entry == entry
