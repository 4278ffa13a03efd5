"""`make soak-schema`: every change scenario in both forms, by the matrix and by a roll on Docker; one line per form.

Resumable: what was found as expected with the same code is kept in `.lab/soak-schema.jsonl` and not asked again. A
machine that is busy with other things makes a roll inconclusive: that says nothing of the scenario, and it is rolled
again.
`--seconds N` begins nothing new after that time; exit 3 says that some are left.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests import scenario_matrix, scenario_names
from tests.e2e.conftest import ROOT, LabCommand
from tests.scenario_rolls import ScenarioLab
from tests.scenarios import FORMS, Scenario, scenarios
from tests.soak.kept import Kept

FOLDER = ROOT / ".lab" / "scenarios"
PROJECT = "soak-schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`told`: what was seen; `wrong`: what of it was not expected."""

    told: str
    wrong: list[str]


def main() -> int:
    asked = _asked()
    began, kept = time.monotonic(), Kept("schema")
    before = {(row["part"], row["name"], row["form"]) for row in kept.rows()}
    left = [one for one in asked.forms if one not in before]
    failed = done = 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAB_SLOW", "700ms")
        lab = LabCommand(PROJECT)
        world = ScenarioLab(lab, list(scenarios().values()), FOLDER / "roll", setenv=patched.setenv)
        while left and time.monotonic() - began < asked.seconds:
            part, name, form = left.pop(0)
            scenario, at = scenarios().get(name, GENERATED), time.monotonic()
            found = PARTS[part](world, scenario, form)
            expected = "nothing" if form == "safe" else EXPECTED[part](scenario)
            told = f"FAILED: {'; '.join(found.wrong)}" if found.wrong else "ok"
            took = time.monotonic() - at
            print(
                f"scenario {name} {form}: {part}, expected {expected}, found {found.told}, {took:.0f} s {told}",
                flush=True,
            )
            done, failed = done + 1, failed + bool(found.wrong)
            if not found.wrong:
                kept.add(part=part, name=name, form=form, found=found.told)
        lab("down")
    minutes = (time.monotonic() - began) / 60
    print(f"soak schema: {done} now, {failed} failed, {len(left)} left, {minutes:.1f} min at {kept.at}", flush=True)
    return 1 if failed else 3 if left else 0


def rolled(world: ScenarioLab, scenario: Scenario, form: str) -> Found:
    found = world.roll(scenario, form)
    return Found(told=found.told, wrong=found.wrong(scenario, form))


def asked(_world: ScenarioLab, scenario: Scenario, form: str) -> Found:
    """The matrix, level by level, until one is red."""
    matrix = scenario_matrix.ask(scenario, form, FOLDER)
    found, hints = scenario_matrix.signs(matrix), scenario_matrix.hints(matrix)
    if form == "safe":
        told = [f"level {sign.level} {sign.what}" for sign in found[:1]] + [scenario.hint] * (scenario.hint in hints)
        return Found(told=told[0] if told else "nothing", wrong=told)
    if scenario.hint and scenario.hint not in hints:
        return Found(told="no hint of it", wrong=[f"hints are {sorted(hints)}"])
    if not found:
        return Found(told="nothing", wrong=["a matrix that is all green on a naive form"])
    first, entries = found[0], {sign.entry for sign in found} - {""}
    wrong = [] if first.level == scenario.level else [f"first found by level {first.level}"]
    wrong += [] if scenario.change in entries or not entries else [f"called {sorted(entries)}"]
    return Found(told=f"level {first.level} {scenario.change if entries else ''} ({first.what[:90]})", wrong=wrong)


def named(_world: ScenarioLab, scenario: Scenario, form: str) -> Found:
    """Whether the matrix knows a change by what it does, and not by a name: `form` is what it has to call it."""
    matrix = scenario_names.ask(form, FOLDER / f"named-{form}", SEED)
    entries = {sign.entry for sign in scenario_matrix.signs(matrix)}
    return Found(told=str(sorted(entries)), wrong=[] if entries == {form} else [f"called {sorted(entries)}"])


PARTS: dict[str, Callable[[ScenarioLab, Scenario, str], Found]] = {"matrix": asked, "roll": rolled, "names": named}
EXPECTED: dict[str, Callable[[Scenario], str]] = {
    "matrix": lambda scenario: f"level {scenario.level} {scenario.change}{scenario.hint and ', hint '}{scenario.hint}",
    "roll": lambda scenario: f"drops with {scenario.seen!r}",
    "names": lambda _scenario: "its own name",
}
SEED = 1
GENERATED = Scenario(name="generated", change="", level=1, seen="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`forms`: part, scenario and form, in this order. `seconds`: nothing new begins after so many."""

    forms: list[tuple[str, str, str]]
    seconds: float


def _asked() -> Asked:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.schema", description=__doc__)
    parser.add_argument("names", nargs="*", help="scenarios; all unless given")
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    found = parser.parse_args()
    names = found.names or list(scenarios())
    parts = found.part or list(PARTS)
    forms = [(part, name, form) for part in parts if part != "names" for name in names for form in FORMS]
    forms += [("names", GENERATED.name, entry) for entry in scenario_names.STEPS] if "names" in parts else []
    return Asked(forms=forms, seconds=found.seconds)


if __name__ == "__main__":
    sys.exit(main())
