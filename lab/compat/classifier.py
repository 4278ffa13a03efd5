"""PURE: from an error or a wrong answer to the change that explains it, and what to do.

It is told the SQLSTATE, the message, the statement and the answers, and what SQL led from the schema that the version
was made for to the one that it met; no names of its own. What these do not explain is said to be unknown, with the
facts: a guess that is wrong costs more than none.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from lab.compat.catalogue import Catalogue, Change, Symptom
from lab.compat.ddl import Operation, names_in, operations


class Cause(StrEnum):
    """Whose fault it is."""

    CHANGE = "change"
    """The change of the schema or of the API."""
    DRIVER = "driver"
    """What the app's database driver has kept from before the step; the schema itself is right."""
    WAITING = "waiting"
    """Nobody is wrong; somebody had to wait too long."""
    ENVIRONMENT = "environment"
    """The database was not there."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen. `symptom` is ERROR where a request failed.

    `steps`: the SQL between the schema that the version was made for and this one, None where it is not known.
    `missing` and `retyped`: fields of the answer that another version gives, and gives in another type.
    `others_accept`: another version takes the same request.
    """

    symptom: Symptom = Symptom.ERROR
    sqlstate: str | None = None
    message: str = ""
    statement: str = ""
    steps: tuple[str, ...] | None = None
    method: str = ""
    path: str = ""
    status: int | None = None
    missing: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()
    others_accept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`change` is None where nothing in the catalogue explains it; `possible`: what may, where the steps are unknown.

    `facts`: what it rests on, one a line.
    """

    cause: Cause
    change: Change | None
    what: str
    fix: str
    facts: tuple[str, ...]
    possible: tuple[Change, ...] = ()


_CACHED_PLAN = "0A000"
_LOST_TYPE = "XX000"
_POOLER = frozenset({"26000", "42P05"})
_WAITS = frozenset({"57014", "55P03", "40P01"})
_GONE = re.compile(r"08...|57P..|53...")
_QUOTED = re.compile(r"""["'«„“`]([^"'«»„“”`]+)["'»“”`]""")
_COLUMN = re.compile(r"\bcolumn (\S+) ")
_QUEUES = frozenset(
    {
        "rename-column",
        "drop-column",
        "add-column",
        "add-required-column",
        "change-type",
        "widen-type",
        "set-default",
        "drop-default",
        "set-not-null",
        "create-trigger",
        "rename-table",
    }
)

_CACHE_FIX = (
    "switch prepared statements off (psycopg: prepare_threshold=None; asyncpg: statement_cache_size=0), or name the "
    "columns instead of `*`; connections that are in it are cured by being made anew"
)
_POOLER_FIX = "switch the driver's prepared statements off, or let the pooler keep them (max_prepared_statements)"
_ENVIRONMENT_FIX = "look at the database: this says nothing about the versions"
_UNKNOWN_FIX = "read the facts; then give the versions a phase on which both are right, or take the step without them"


def classify(evidence: Evidence, catalogue: Catalogue) -> Finding:
    """Say what it is. Total: whatever the evidence, there is a finding."""
    facts = _facts(evidence)
    done = () if evidence.steps is None else operations(evidence.steps)
    special = _driver(evidence, catalogue, done, facts) or _environment(evidence, catalogue, done, facts)
    if special:
        return special
    allowed = [change for change in catalogue.changes if _tells(change, evidence)]
    made = [(change, operation) for operation in done for change in allowed if _explains(change, operation, evidence)]
    if made:
        change, operation = made[0]
        return _found(_cause(evidence), change, facts=(*facts, f"made by: {operation.text}"), evidence=evidence)
    answers = [change for change in allowed if _by_answer(change, evidence)]
    if answers:
        return _found(Cause.CHANGE, answers[0], facts=facts, evidence=evidence)
    if evidence.steps is None and allowed and (evidence.sqlstate or evidence.symptom is not Symptom.ERROR):
        return _undecided(evidence, allowed, facts)
    return _unknown(evidence, done, facts)


def differences(got: object, wanted: object, *, at: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(fields that are missing in `got`, fields that are of another type), of two JSON values, by their paths."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        missing = tuple(f"{at}{name}" for name in wanted if name not in got)
        retyped: tuple[str, ...] = ()
        for name in (name for name in wanted if name in got):
            below = differences(got[name], wanted[name], at=f"{at}{name}.")
            missing, retyped = missing + below[0], retyped + below[1]
        return missing, retyped
    if isinstance(wanted, list) and isinstance(got, list):
        return differences(got[0], wanted[0], at=f"{at}0.") if got and wanted else ((), ())
    return ((), ()) if _json_type(got) == _json_type(wanted) else ((), (at.rstrip("."),))


def _driver(
    evidence: Evidence, catalogue: Catalogue, done: tuple[Operation, ...], facts: tuple[str, ...]
) -> Finding | None:
    """The driver remembers what is not true any more. The change that did it may be one that breaks nothing else."""
    code, said = evidence.sqlstate, evidence.message.lower()
    made = next((c for o in done for c in catalogue.changes if o.kind in c.steps and code in c.sqlstates), None)
    if code == _CACHED_PLAN and ("cached plan" in said or made is not None):
        return Finding(
            cause=Cause.DRIVER,
            change=made,
            what="a statement that the driver had prepared may not change its result: the connection fails on it, "
            "outside of a transaction for as long as it lives",
            fix=_CACHE_FIX,
            facts=facts,
        )
    if code == _LOST_TYPE and "cache lookup failed for type" in said:
        what = "the connection remembers a type that was exchanged"
        return Finding(cause=Cause.DRIVER, change=made, what=what, fix=_CACHE_FIX, facts=facts)
    if code in _POOLER:
        what = "a prepared statement is not there, or there already: a pooler gave the connection to somebody else"
        return Finding(cause=Cause.DRIVER, change=None, what=what, fix=_POOLER_FIX, facts=facts)
    return None


def _environment(
    evidence: Evidence, catalogue: Catalogue, done: tuple[Operation, ...], facts: tuple[str, ...]
) -> Finding | None:
    """Waited too long, or not there at all."""
    code = evidence.sqlstate or ""
    waited = code in _WAITS or evidence.symptom is Symptom.STALL
    gone = bool(_GONE.fullmatch(code))
    if not (waited or gone):
        return None
    waits = [c for c in catalogue.changes if Symptom.STALL in c.symptoms]
    if evidence.symptom is Symptom.STALL and evidence.statement:  # the very statement of the step that others wait for
        for operation in operations([evidence.statement]):
            change = next((c for c in (*waits, *catalogue.changes) if operation.kind in c.steps), None)
            if change:
                return _found(Cause.WAITING, change, facts=(*facts, f"made by: {operation.text}"), evidence=evidence)
    ranked = sorted(done, key=lambda operation: operation.kind != "wait-without-limit")
    for operation in ranked:
        change = next((c for c in waits if operation.kind in c.steps), None)
        if change is None and operation.kind in _QUEUES:
            change = next((c for c in waits if "lock-table" in c.steps), None)
        if change:
            return _found(Cause.WAITING, change, facts=(*facts, f"made by: {operation.text}"), evidence=evidence)
    if gone:
        what = evidence.message or "the database was not there"
        return Finding(cause=Cause.ENVIRONMENT, change=None, what=what, fix=_ENVIRONMENT_FIX, facts=facts)
    if evidence.steps is None:
        return _undecided(evidence, waits, facts)
    return None


def _tells(change: Change, evidence: Evidence) -> bool:
    """Such evidence is known of this change."""
    if evidence.sqlstate:
        return evidence.sqlstate in change.sqlstates
    if evidence.symptom is Symptom.ERROR:
        return evidence.symptom in change.symptoms or _by_answer(change, evidence)
    return evidence.symptom in change.symptoms


def _explains(change: Change, operation: Operation, evidence: Evidence) -> bool:
    """The step made this change, and it is about what the evidence names."""
    if operation.kind not in change.steps:
        return False
    named = _named(evidence)
    if named & operation.names:
        return True
    if evidence.sqlstate in {"42703", "42P01"} or evidence.missing or evidence.retyped:
        return False  # it names exactly what is missing: what was done to another column does not explain it
    about = names_in(evidence.statement)
    return not about or bool(about & (operation.names | {operation.table}))


def _named(evidence: Evidence) -> frozenset[str]:
    """What the message itself names, whatever the server's language: it is in quotes, but for a column in a query."""
    quoted = {part for whole in _QUOTED.findall(evidence.message) for part in (whole, *whole.split("."))}
    columns = {part.strip("\"'") for whole in _COLUMN.findall(evidence.message) for part in whole.split(".")}
    fields = {part for path in (*evidence.missing, *evidence.retyped) for part in path.split(".")}
    return frozenset(quoted | columns | fields)


def _by_answer(change: Change, evidence: Evidence) -> bool:
    """The answers alone tell it: no step of the schema is needed."""
    if evidence.sqlstate:
        return False
    if evidence.symptom is Symptom.SHAPE:
        kinds = ["answer-field-removed"] if evidence.missing else []
        kinds += ["answer-field-retyped"] if evidence.retyped else []
        return bool(set(kinds) & set(change.steps))
    if evidence.symptom in {Symptom.STRIPPED, Symptom.STALE, Symptom.LOST}:
        return "copy-without-sync" in change.steps
    if evidence.symptom in {Symptom.DUP, Symptom.MISS}:
        return evidence.symptom in change.symptoms
    asked = f"{evidence.method} with a query" if "?" in evidence.path else evidence.method
    return evidence.others_accept and evidence.status in change.statuses and asked in change.methods


def _cause(evidence: Evidence) -> Cause:
    return Cause.WAITING if evidence.symptom is Symptom.STALL else Cause.CHANGE


def _found(cause: Cause, change: Change, *, facts: tuple[str, ...], evidence: Evidence) -> Finding:
    meaning = change.sqlstates.get(evidence.sqlstate or "", "")
    what = f"{change.title.lower()}: {meaning or evidence.message or change.client}"
    return Finding(cause=cause, change=change, what=what, fix=change.fix, facts=facts)


def _undecided(evidence: Evidence, possible: list[Change], facts: tuple[str, ...]) -> Finding:
    if len(possible) == 1:
        return _found(_cause(evidence), possible[0], facts=facts, evidence=evidence)
    titles = "; ".join(change.title.lower() for change in possible)
    return Finding(
        cause=Cause.UNKNOWN,
        change=None,
        what=f"{evidence.message or evidence.symptom.value}: one of: {titles}",
        fix="say which step of the schema lies between the two versions: it tells which of these it is",
        facts=facts,
        possible=tuple(possible),
    )


def _unknown(evidence: Evidence, done: tuple[Operation, ...], facts: tuple[str, ...]) -> Finding:
    steps = tuple(f"step: {operation.text}" for operation in done)
    what = f"not in the catalogue: {evidence.message or evidence.symptom.value}"
    return Finding(cause=Cause.UNKNOWN, change=None, what=what, fix=_UNKNOWN_FIX, facts=(*facts, *steps))


def _facts(evidence: Evidence) -> tuple[str, ...]:
    asked = f"{evidence.method} {evidence.path}".strip()
    answered = f" -> {evidence.status}" if evidence.status else ""
    lines = {
        "request": f"{asked}{answered}" if asked or answered else "",
        "seen": evidence.symptom.value,
        "SQLSTATE": evidence.sqlstate or "",
        "message": evidence.message,
        "statement": " ".join(evidence.statement.split()),
        "missing": ", ".join(evidence.missing),
        "another type": ", ".join(evidence.retyped),
    }
    return tuple(f"{name}: {text}" for name, text in lines.items() if text)


def _json_type(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__
