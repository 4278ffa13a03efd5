"""Schema phases: where the database is, which versions it serves, and the steps between."""

from lab.migrate.guard import roll_refusal
from lab.migrate.plan import NOTHING, ChangePlan, Phase
from lab.migrate.reading import read_plan
from lab.migrate.runner import Leave, go_to, step_down, step_up, tidy
from lab.migrate.state import current_phase, forced_reason, gone_versions

__all__ = [
    "NOTHING",
    "ChangePlan",
    "Leave",
    "Phase",
    "current_phase",
    "forced_reason",
    "go_to",
    "gone_versions",
    "read_plan",
    "roll_refusal",
    "step_down",
    "step_up",
    "tidy",
]
