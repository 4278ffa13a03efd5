from typing import TYPE_CHECKING

from lab.cli import _output
from lab.cli._app import migrate_app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.assembly import Lab
    from lab.migrate import ChangePlan


@migrate_app.command()
def status(project: Project = "default", json: Json = False) -> None:
    """Show the phases of the change, which one the database is in, and the versions that each serves."""
    from lab.migrate import current_phase

    lab, plan = _open(project)
    now = current_phase(lab.database())
    rows = [
        f"{'->' if phase.name == now else '  '} {phase.name:<11} serves {', '.join(sorted(phase.serves))}"
        for phase in plan.phases
    ]
    phases = [{"name": phase.name, "serves": sorted(phase.serves)} for phase in plan.phases]
    data = {"schema": "lab.migrate/1", "change": plan.id, "phase": now, "phases": phases}
    _output.result("\n".join([f"change {plan.id}", *rows]), data, as_json=json)


@migrate_app.command()
def expand(project: Project = "default", json: Json = False) -> None:
    """Take the schema from base to expanded: the old version notices nothing."""
    _go_to("expanded", project, as_json=json)


@migrate_app.command()
def backfill(project: Project = "default", json: Json = False) -> None:
    """Fill the new columns in batches, and verify: then both versions are served."""
    _go_to("backfilled", project, as_json=json)


def _go_to(phase: str, project: str, *, as_json: bool) -> None:
    from lab.migrate import current_phase, go_to

    lab, plan = _open(project)
    database = lab.database()
    before = current_phase(database)
    if before != "none" and plan.index(before) >= plan.index(phase):
        text = f"The schema is {before}. Nothing to do."
        _output.result(text, {"schema": "lab.migrate/1", "phase": before, "changed": False}, as_json=as_json)
        return
    go_to(database, plan, phase, lambda name, what: _output.say(f" ✔ {name:<11} {what}"))
    served = ", ".join(sorted(plan.phase(phase).serves))
    text = f"The schema is {phase}; it serves {served}."
    _output.result(text, {"schema": "lab.migrate/1", "phase": phase, "changed": True}, as_json=as_json)


def _open(project: str) -> "tuple[Lab, ChangePlan]":
    lab = open_lab(project)
    lab.refuse_another_checkout()
    if lab.plan is None:
        raise LabError(
            id="no-schema-plan", what="the manifest names no schema plan", fix="x-lab.schema.plan in the manifest"
        )
    return lab, lab.plan
