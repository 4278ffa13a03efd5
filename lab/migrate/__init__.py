"""Schema phases: where the database is, which versions it serves, and the steps between."""

from lab.migrate.plan import NOTHING, ChangePlan, Phase
from lab.migrate.reading import read_plan
from lab.migrate.runner import go_to, step_up
from lab.migrate.state import current_phase, forced_reason, gone_versions

__all__ = [
    "NOTHING",
    "ChangePlan",
    "Phase",
    "current_phase",
    "forced_reason",
    "go_to",
    "gone_versions",
    "read_plan",
    "step_up",
]
