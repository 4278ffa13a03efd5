"""Schema phases: where the database is, which versions it serves, and the steps between."""

from lab.migrate.plan import ChangePlan, Phase, read_plan
from lab.migrate.runner import NOTHING, backfill, current_phase, go_to, step_up

__all__ = ["NOTHING", "ChangePlan", "Phase", "backfill", "current_phase", "go_to", "read_plan", "step_up"]
