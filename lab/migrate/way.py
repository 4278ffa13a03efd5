"""PURE: may a version run on the schema as it is, and by which steps may it come to run? One rule for every command.

`lab roll`, `lab rollback`, `lab plan`, `lab up` and a rollout that is gone on with all ask it here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lab.errors import LabError
from lab.migrate.guard import roll_refusal
from lab.migrate.plan import NOTHING, ChangePlan, Phase
from lab.model import SchemaMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """`source` and `target` by the names that the plan has for them. `source` None: nothing runs yet.

    leaving: the rollout takes `source` away because something is wrong with it: whether it is served stops nobody.
    """

    target: str
    source: str | None = None
    mode: SchemaMode = SchemaMode.AUTO
    anyway: bool = False
    leaving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """From the phase `start`, which the database says, by `steps`, upwards.

    unserved: versions that will run where nothing promises it.
    """

    start: str
    steps: tuple[Phase, ...] = ()
    unserved: tuple[str, ...] = ()


def way_of(plan: ChangePlan, phase: str, gone: Mapping[str, str], ask: Ask) -> Way:
    """LabError `version-gone` or `schema-does-not-serve`, with the command that helps.

    `gone`: what the database says of versions that can never run again, whatever the plan says.
    """
    if refused := roll_refusal(plan, phase, ask.target, gone):
        raise refused
    first = plan.phases[:1] if phase == NOTHING else ()
    start = first[0].name if first else phase
    beside = set() if ask.source is None or ask.leaving else {ask.source} - set(gone)
    both = {ask.target} | beside
    missing = tuple(sorted(both - plan.phase(start).serves))
    if not missing:
        return Way(start=phase, steps=first)
    steps = plan.way_to_serve(start, both)
    if steps is not None and ask.mode is SchemaMode.AUTO:
        return Way(start=phase, steps=(*first, *steps))
    if ask.anyway:
        return Way(start=phase, steps=first, unserved=missing)
    raise _unserved(plan, start, both, missing)


def _unserved(plan: ChangePlan, start: str, both: set[str], missing: tuple[str, ...]) -> LabError:
    steps = plan.way_to_serve(start, both)
    if steps:
        commands = dict.fromkeys(f"lab migrate {plan.command_to(step.name)}" for step in steps)
        helps = f"{', then '.join(commands)}; or --schema auto, which takes these steps under traffic"
    else:
        helps = "no step that takes nothing away leads to a phase that serves them: lab migrate status"
    names = " and ".join(sorted(both))
    return LabError(
        id="schema-does-not-serve",
        what=f"the schema is {start}, which does not serve {' and '.join(missing)}",
        where=f"{names} run side by side during the roll" if len(both) > 1 else f"{names} would run on it",
        fix=f"{helps}; --anyway shows what breaks",
    )
