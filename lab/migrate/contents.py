"""What a step of the schema does, read off its files."""

from pathlib import Path

from lab.migrate.plan import ChangePlan, Command, Phase
from lab.migrate.sql import units_of


def contents_of(plan: ChangePlan, phase: Phase) -> list[str]:
    """Its transactions, in order, and the locks that each takes; its backfill; its conditions."""
    lines = []
    if isinstance(phase.up, Command):
        lines.append(f"runs {' '.join(phase.up.argv)}")
    elif isinstance(phase.up, Path):
        units = units_of(phase.up.read_text(), file=phase.up.name, syncs=plan.syncs)
        lines += [f"{unit.told}   [{unit.locks}]" for unit in units]
    if phase.backfill:
        lines.append(f"fills in batches of {phase.backfill.batch}")
    if phase.verify:
        lines.append("verifies that nothing is missing and nothing diverges")
    if phase.soak:
        lines.append(f"not before what it takes away has been gone for {phase.soak:g} s")
    return lines
