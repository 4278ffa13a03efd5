"""The change scenarios of the sample app, as tests run them: a manifest of each form, and what is found in it."""

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab.migrate import ChangePlan, read_plan

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "sample_app" / "scenarios"
FORMS = ("naive", "safe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`change`: its entry of the catalogue; the rest says what its naive form is found by, and needs.

    `level` of the matrix, and the linter's `hint` where only traffic breaks a promise; words that the load has `seen`.
    `report`: somebody reads the table slowly meanwhile. `options` of the roll, where it is seldom met without.
    `naive`: variables of that form; a scenario without a folder is the sample app's own versions and plan.
    """

    name: str
    change: str
    level: int
    seen: str
    hint: str = ""
    report: bool = False
    options: Sequence[str] = ()
    naive: Mapping[str, str] = field(default_factory=dict)

    def plan(self, form: str) -> ChangePlan:
        own = FOLDER / self.name / form / "plan.toml"
        return read_plan(own if own.exists() else ROOT / "sample_app" / "schema" / "plan.toml")

    def name_of(self, form: str, version: str) -> str:
        """As the manifest names it. The load takes what begins with v2 for a version that splits names."""
        return f"{version}-{self.name}-{form}"

    def environment(self, form: str, version: str) -> dict[str, str]:
        code = version if version in {"v1", "v2"} else f"{self.name}/{form}/{version}"
        return {"APP_CODE": code, **(self.naive if form == "naive" else {})}


def manifest(chosen: Iterable[Scenario], folder: Path) -> Path:
    """The shipped one with the versions of every form of these; written into `folder`. The plan is the first one's."""
    forms = [(scenario, form) for scenario in chosen for form in FORMS]
    document = yaml.safe_load((ROOT / "compose" / "lab.yaml").read_text())
    app = document["services"]["app"]
    app["x-lab"]["schema"] = {"plan": os.path.relpath(forms[0][0].plan(forms[0][1]).file, folder)}
    app["x-lab"]["load"] |= {"baseline": "1s", "min_requests": 200}
    app["x-lab"]["versions"] = {
        scenario.name_of(form, version): {
            "serves_as": version,
            "environment": scenario.environment(form, version),
        }
        for scenario, form in forms
        for version in scenario.plan(form).versions
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scenarios.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def scenarios() -> dict[str, Scenario]:
    rows = tomllib.loads((Path(__file__).parent / "scenarios.toml").read_text())["scenario"]
    return {row["name"]: Scenario(**row) for row in rows}
