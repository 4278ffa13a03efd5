"""Schema phases: where the database is, which versions it serves, and the steps between."""

from lab.migrate.plan import NOTHING, ChangePlan, Phase
from lab.migrate.reading import read_plan
from lab.migrate.runner import Leave, go_to, step_down, step_up, tidy
from lab.migrate.state import current_phase, forced_reason, gone_versions
from lab.migrate.way import Ask, Way, way_of

__all__ = [
    "NOTHING",
    "Ask",
    "ChangePlan",
    "Leave",
    "Phase",
    "Way",
    "current_phase",
    "forced_reason",
    "go_to",
    "gone_versions",
    "read_plan",
    "step_down",
    "step_up",
    "tidy",
    "way_of",
]
