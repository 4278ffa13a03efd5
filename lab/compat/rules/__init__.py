"""PURE: what a linter that knows no versions cannot see in a phase's SQL. One rule, one file; all stand in RULES."""

from collections.abc import Iterator, Mapping

from lab.compat.model import Lint
from lab.compat.rules import (
    contract_early,
    default_changed,
    delete_all,
    lock_taken,
    rights_revoked,
    sync_dropped,
    table_emptied,
    trigger_apart,
    unbatched,
    view_of_everything,
    waits_without_limit,
)
from lab.compat.rules.step import Rule, Step

RULES: Mapping[str, Rule] = {
    "contract-statement-early": contract_early.check,
    "default-changed": default_changed.check,
    "delete-without-where": delete_all.check,
    "lock-taken-by-hand": lock_taken.check,
    "rights-revoked": rights_revoked.check,
    "sync-trigger-dropped-early": sync_dropped.check,
    "table-emptied": table_emptied.check,
    "trigger-apart-from-its-columns": trigger_apart.check,
    "unbatched-write": unbatched.check,
    "view-of-everything": view_of_everything.check,
    "wait-without-limit": waits_without_limit.check,
}

__all__ = ["RULES", "Rule", "Step", "findings"]


def findings(step: Step) -> Iterator[Lint]:
    """All that our own rules say of one phase's SQL, in the order of the file."""
    found = [
        Lint(phase=step.phase, file=step.file, line=hit.line, rule=name, what=hit.what, fix=hit.fix)
        for name, check in RULES.items()
        for hit in check(step)
    ]
    yield from sorted(found, key=lambda lint: (lint.line, lint.rule))
