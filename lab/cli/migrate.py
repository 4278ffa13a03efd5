import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import migrate_app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project, Quiet
from lab.errors import Exit, LabError, UsageError

if TYPE_CHECKING:
    from lab.assembly import Lab
    from lab.operations.schema import Removal, Taken, Told

DryRun = Annotated[bool, typer.Option("--dry-run", help="Take the step on a copy only, and show what it does.")]
Force = Annotated[bool, typer.Option("--force", help="Against the guard; needs --reason, and is recorded.")]
Reason = Annotated[str, typer.Option("--reason", help="Why the guard is not heeded.", metavar="TEXT")]
GiveUp = Annotated[
    list[str] | None, typer.Option("--give-up", help="A version nobody will roll back to.", metavar="VERSION")
]


@migrate_app.command()
def status(project: Project = "default", json: Json = False) -> None:
    """Show the phases of the change, which one the database is in, who runs, and what is under way."""
    from lab.operations.schema_view import schema_status, status_text

    found = schema_status(_open(project))
    _output.result(status_text(found), found, as_json=json)


@migrate_app.command()
def plan(
    measure: Annotated[bool, typer.Option("--measure/--no-measure", help="Try the steps on a copy.")] = True,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show what each step to come does: its files, the locks it takes, who would wait, who could still run."""
    from lab.operations.schema_view import plan_text, schema_plan

    found = asyncio.run(schema_plan(_open(project), measure=measure))
    _output.result(plan_text(found), found, as_json=json)


@migrate_app.command()
def expand(project: Project = "default", json: Json = False, quiet: Quiet = False, dry_run: DryRun = False) -> None:
    """Take the schema from base to expanded: the old version notices nothing."""
    _go_to("expand", project, dry_run=dry_run, as_json=json, quiet=quiet)


@migrate_app.command()
def backfill(project: Project = "default", json: Json = False, quiet: Quiet = False, dry_run: DryRun = False) -> None:
    """Fill the new columns in batches, and verify: then both versions are served."""
    _go_to("backfill", project, dry_run=dry_run, as_json=json, quiet=quiet)


@migrate_app.command()
def verify(project: Project = "default", json: Json = False) -> int:
    """Ask the database whether its data are what the phase promises; exit 1 if not."""
    from lab.operations.schema_view import schema_verify

    phase, found = schema_verify(_open(project))
    wrong = {name: count for name, count in found.items() if count}
    told = ", ".join(f"{name} {count}" for name, count in found.items()) or "nothing to verify"
    data = {"schema": "lab.migrate/1", "phase": phase, "verify": found, "holds": not wrong}
    _output.result(f"{phase}: {told}", data, as_json=json)
    return int(Exit.NO if wrong else Exit.OK)


@migrate_app.command()
def contract(
    give_up: GiveUp = None,
    force: Force = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take away what only the old version needed, once it can never run again."""
    from lab.operations.schema import Removal
    from lab.operations.schema import contract as run

    lab = _open(project)
    if dry_run:
        _rehearse(lab, "contract", as_json=json)
        return
    removal = Removal(give_up=tuple(give_up or ()), force=_reason(reason, force=force))
    _removed(lambda told: run(lab, removal, told), removal, as_json=json, quiet=quiet)


@migrate_app.command()
def rollback(
    force: Force = False,
    reason: Reason = "",
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take the schema's last step back, unless something runs, or was written, that needs it."""
    from lab.operations.schema import Removal, step_back

    lab = _open(project)
    removal = Removal(force=_reason(reason, force=force))
    _removed(lambda told: step_back(lab, removal, told), removal, as_json=json, quiet=quiet)


def _go_to(command: str, project: str, *, dry_run: bool, as_json: bool, quiet: bool) -> None:
    from lab import migrate
    from lab.operations.schema import go_up, plan_of

    lab = _open(project)
    if dry_run:
        _rehearse(lab, command, as_json=as_json)
        return
    change, database = plan_of(lab), lab.database()
    before, goal = migrate.current_phase(database), change.goal_of(command)
    if before != migrate.NOTHING and change.index(before) >= change.index(goal.name):
        migrate.tidy(database, change)
        text = f"The schema is {before}. Nothing to do."
        _output.result(text, {"schema": "lab.migrate/1", "phase": before, "changed": False}, as_json=as_json)
        return
    go_up(lab, goal.name, _telling(quiet=quiet))
    text = f"The schema is {goal.name}; it serves {', '.join(sorted(goal.serves))}."
    _output.result(text, {"schema": "lab.migrate/1", "phase": goal.name, "changed": True}, as_json=as_json)


def _removed(run: "Callable[[Told], Awaitable[Taken]]", removal: "Removal", *, as_json: bool, quiet: bool) -> None:
    from lab.operations.schema_view import proof_lines, proofs_json

    async def go() -> "Taken":
        return await run(_telling(quiet=quiet))

    taken = asyncio.run(go())
    for line in proof_lines(taken.proofs):
        _output.say(line, quiet=quiet)
    for stranger in taken.strangers:
        _output.say(f"note: {stranger} is connected without a lease; nobody knows which version it needs", quiet=quiet)
    forced = f" Against the guard: {removal.force}." if removal.force and taken.proofs else ""
    data = {
        "schema": "lab.migrate/1",
        "phase": taken.phase,
        "changed": bool(taken.proofs),
        "forced": removal.force,
        "guard": proofs_json(taken.proofs),
    }
    done = f"The schema is {taken.phase}.{forced}" if taken.proofs else f"The schema is {taken.phase}. Nothing to do."
    _output.result(done, data, as_json=as_json)


def _rehearse(lab: "Lab", command: str, *, as_json: bool) -> None:
    from lab.operations.schema_view import rehearsal_text, schema_rehearsal

    found = schema_rehearsal(lab, command)
    _output.result(rehearsal_text(found), found, as_json=as_json)


def _telling(*, quiet: bool) -> "Told":
    return lambda phase, what: _output.say(f" - {phase:<11} {what}", quiet=quiet)


def _reason(reason: str, *, force: bool) -> str | None:
    if force and not reason.strip():
        fix = '--force --reason "why it is right nevertheless"'
        raise UsageError(id="force-reason", what="--force needs a reason: every later verdict will show it", fix=fix)
    if reason.strip() and not force:
        raise UsageError(id="force-reason", what="--reason goes with --force only", fix="leave it out")
    return reason.strip() if force else None


def _open(project: str) -> "Lab":
    lab = open_lab(project)
    lab.refuse_another_checkout()
    if lab.plan is None:
        raise LabError(
            id="no-schema-plan", what="the manifest names no schema plan", fix="x-lab.schema.plan in the manifest"
        )
    return lab
