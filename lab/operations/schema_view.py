"""What `lab migrate status|plan|verify` and a dry run show: one dict for people and programs alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab import migrate
from lab.assembly import Lab
from lab.errors import LabError
from lab.migrate.contents import contents_of
from lab.migrate.footprint import Footprint, rehearse
from lab.migrate.guard import Proof, proofs
from lab.migrate.leases import holders, strangers
from lab.migrate.plan import ChangePlan, Phase
from lab.migrate.runner import wrong_data
from lab.migrate.state import Journal
from lab.operations.schema import Removal, gather, plan_of

SCHEMA = "lab.migrate/1"


def schema_status(lab: Lab) -> dict[str, Any]:
    """Where the schema is, what is under way, and who holds a lease for which version."""
    plan, database = plan_of(lab), lab.database()
    now = migrate.current_phase(database)
    gone = migrate.gone_versions(database)
    with database.session("lab migrate: status") as session:
        held = [{"version": h.version, "replica": h.name, "pid": h.pid} for h in holders(session, plan.versions)]
        others = strangers(session)
        there = bool(session.run("select to_regclass('lab_schema_step') is not null")[0][0])
        steps = Journal(session, plan).unfinished() if there else []
    return {
        "schema": SCHEMA,
        "change": plan.id,
        "phase": now,
        "phases": [{"name": p.name, "serves": sorted(p.serves), "contracts": plan.contracts(p)} for p in plan.phases],
        "under_way": [
            {"phase": s.phase, "direction": s.direction, "done": s.done, "filled": s.filled, "remaining": s.remaining}
            for s in steps
        ],
        "leases": held,
        "without_lease": list(others),
        "gone": gone,
        "forced": migrate.forced_reason(database),
    }


def status_text(found: Mapping[str, Any]) -> str:
    lines = [f"change {found['change']}"]
    for phase in found["phases"]:
        mark = "->" if phase["name"] == found["phase"] else "  "
        last = "   point of no return" if phase["contracts"] else ""
        lines.append(f"{mark} {phase['name']:<11} serves {', '.join(phase['serves']) or 'nobody'}{last}")
    for step in found["under_way"]:
        filled = f", {step['filled']} rows filled" if step["filled"] else ""
        lines.append(f"under way: {step['phase']} ({step['direction']}), {step['done']} transactions done{filled}")
    by_version: dict[str, list[str]] = {}
    for lease in found["leases"]:
        by_version.setdefault(lease["version"] or "an unknown version", []).append(lease["replica"])
    lines += [f"running: {version} on {', '.join(names)}" for version, names in sorted(by_version.items())]
    lines += [f"gone: {version}, since {phase}" for version, phase in found["gone"].items()]
    lines += [f"without a lease: {name}" for name in found["without_lease"]]
    if found["forced"]:
        lines.append(f"against the guard: {found['forced']}")
    return "\n".join(lines)


def schema_verify(lab: Lab) -> tuple[str, dict[str, int]]:
    """The phase, and what its verification counts; each number must be 0."""
    plan, database = plan_of(lab), lab.database()
    now = migrate.current_phase(database)
    with database.session("lab migrate: verify") as session:
        return now, wrong_data(session, plan, now)


async def schema_plan(lab: Lab, *, measure: bool) -> dict[str, Any]:
    """Each step to come: what is in it, what it does to others, and what the guard says now."""
    plan, database = plan_of(lab), lab.database()
    now = migrate.current_phase(database)
    first = 0 if now == migrate.NOTHING else plan.index(now) + 1
    coming = plan.phases[first:]
    measured = {r.phase: r for r in rehearse(database, plan, coming[-1].name)} if measure and coming else {}
    steps = []
    for phase in coming:
        step: dict[str, Any] = {
            "phase": phase.name,
            "command": plan.command_to(phase.name),
            "serves": sorted(phase.serves),
            "takes_away": sorted(plan.gone_at(phase.name)),
            "contents": contents_of(plan, phase),
            "way_back": phase.up is None or phase.down is not None,
        }
        if phase.name in measured:
            rehearsal = measured[phase.name]
            step["seconds"] = round(rehearsal.seconds, 3)
            step["footprint"] = [_footprint(f) for f in rehearsal.footprints]
        steps.append(step)
    guarded = next((phase for phase in coming[:1] if plan.contracts(phase)), None)
    found: tuple[Proof, ...] = ()
    if guarded:
        async with lab.gateway() as gateway:
            evidence, _ = await gather(lab, gateway, guarded.name, Removal())
        found = proofs(evidence)
    return {
        "schema": "lab.migrate.plan/1",
        "change": plan.id,
        "phase": now,
        "steps": steps,
        "guard": proofs_json(found),
    }


def plan_text(found: Mapping[str, Any]) -> str:
    lines = [f"change {found['change']}, now {found['phase']}"]
    for step in found["steps"]:
        away = f"; takes {', '.join(step['takes_away'])} away" if step["takes_away"] else ""
        lines.append(f"{step['phase']}: lab migrate {step['command']}; serves {', '.join(step['serves'])}{away}")
        lines += [f"    {line}" for line in step["contents"]]
        lines += _measured(step)
        if not step["way_back"]:
            lines.append("    point of no return: there is no way down")
    if not found["steps"]:
        lines.append("no step is left")
    if found["guard"]:
        lines += ["the guard, now:", *(_proof(p["name"], p["found"], holds=p["holds"]) for p in found["guard"])]
    return "\n".join(lines)


def schema_rehearsal(lab: Lab, command: str) -> dict[str, Any]:
    """The steps of `lab migrate expand|backfill|contract`, taken on a copy of the database that is thrown away."""
    plan, database = plan_of(lab), lab.database()
    now = migrate.current_phase(database)
    goal = _goal(plan, now, command)
    first = 0 if now == migrate.NOTHING else plan.index(now) + 1
    done = rehearse(database, plan, goal.name) if plan.index(goal.name) >= first else ()
    steps = [
        {
            "phase": r.phase,
            "seconds": round(r.seconds, 3),
            "told": list(r.told),
            "footprint": [_footprint(f) for f in r.footprints],
        }
        for r in done
    ]
    return {"schema": "lab.migrate.rehearsal/1", "change": plan.id, "phase": now, "steps": steps}


def rehearsal_text(found: Mapping[str, Any]) -> str:
    lines = [f"change {found['change']}, now {found['phase']}; on a copy, nothing of the database was touched:"]
    for step in found["steps"]:
        lines.append(step["phase"])
        lines += [f"    {line}" for line in step["told"]]
        lines += _measured(step)
    if not found["steps"]:
        lines.append("no step is left")
    return "\n".join(lines)


def proof_lines(found: Sequence[Proof]) -> list[str]:
    return [_proof(p.name, p.found, holds=p.holds) for p in found]


def proofs_json(found: Sequence[Proof]) -> list[dict[str, Any]]:
    return [{"name": p.name, "found": p.found, "holds": p.holds, "fix": "" if p.holds else p.fix} for p in found]


def _proof(name: str, found: str, *, holds: bool) -> str:
    return f" {'✔' if holds else '✘'} {name:<11} {found}"


def _goal(plan: ChangePlan, now: str, command: str) -> Phase:
    if command != "contract":
        return plan.goal_of(command)
    following = plan.next_of(now)
    if following is None:
        return plan.phases[-1]
    if not plan.contracts(following):
        raise LabError(
            id="schema-order",
            what=f"the schema is {now}; contracting is not the next step",
            fix=f"lab migrate {plan.command_to(following.name)}",
        )
    return following


def _footprint(f: Footprint) -> dict[str, Any]:
    return {
        "unit": f.unit,
        "table": f.table,
        "lock": f.lock,
        "rewritten": f.rewritten,
        "blocks": f.blocks,
        "stall_seconds": round(f.stall, 4),
    }


def _measured(step: Mapping[str, Any]) -> list[str]:
    if "footprint" not in step:
        return []
    lines = [
        f"    {f['unit'].split(' ', 1)[0]} {f['table']}: {f['lock']}, {f['blocks']} wait"
        + (f" {f['stall_seconds'] * 1000:.0f} ms" if f["stall_seconds"] else "s" if f["blocks"] == "nobody" else "")
        + (", the table is rewritten" if f["rewritten"] else "")
        for f in step["footprint"]
    ]
    return [*lines, f"    on a copy: {step['seconds']:.2f} s"]
