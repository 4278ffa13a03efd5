"""A scenario asked of the matrix, and what it says: by which level the naive form is found, and as which change."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from lab.assembly import Lab
from lab.compat.model import Matrix, State
from lab.manifest import CompatKeys, read_manifest
from lab.operations.compat import CompatRequest, compat
from lab.project import project_at
from tests.scenarios import FOLDER, ROOT, Scenario, manifest

PROJECT = "scenario-matrix"
SAMPLE = ROOT / "sample_app" / "schema" / "compat.toml"
STATIC = ROOT / "sample_app" / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A promise that is broken, or a hint of the linter that only this form gets. `entry`: of the catalogue."""

    level: int
    what: str
    entry: str = ""


def ask(scenario: Scenario, form: str, folder: Path, *, levels: str = "0-4") -> Matrix:
    """On real containers, beside no lab."""
    plan = scenario.plan(form)
    lab = Lab(project=project_at(ROOT, PROJECT))
    read = read_manifest(manifest([scenario], folder / "matrix"))
    checks = _checks(scenario, plan.versions[0], folder)
    keys = CompatKeys(checks=checks, environment=read.compat.environment)
    # what the manifest names, as if it named these
    vars(lab)["manifest"] = replace(read, schema_plan=plan.file, compat=keys)
    vars(lab)["plan"] = plan
    names = tuple(scenario.name_of(form, version) for version in plan.versions)
    return compat(lab, CompatRequest(versions=names, levels=levels), lambda _line: None)


def _checks(scenario: Scenario, version: str, folder: Path) -> Path:
    """The scenarios' own, or the sample app's; where its page is the matter, with every script that a page names."""
    if version != "v1":
        return FOLDER / "compat.toml"
    if not scenario.naive:
        return SAMPLE
    scripts = (f"app.{sha256(script.read_bytes()).hexdigest()[:12]}.js" for script in sorted(STATIC.glob("*.js")))
    asked = "".join(f'\n[[check]]\nname = "{name}"\nrequest = "GET /assets/{name}"\n' for name in scripts)
    file = folder / "page.toml"
    file.write_text(SAMPLE.read_text() + asked)
    return file


def signs(matrix: Matrix) -> list[Sign]:
    """Every promise that is broken, the cheapest level first."""
    return sorted(_broken(matrix), key=lambda sign: sign.level)


def hints(matrix: Matrix) -> frozenset[str]:
    """What the linter says of its phases; it breaks no promise by itself."""
    return frozenset(hint.rule for hint in matrix.lint)


def _broken(matrix: Matrix) -> Iterator[Sign]:
    for api in matrix.api:
        if api.state is State.BROKEN:
            yield from (Sign(level=0, what=f"{change.where}: {change.what}") for change in api.broken)
    for result in (*matrix.cells, *matrix.pairs, *matrix.edges):
        if result.state is State.BROKEN:
            for failure in result.failures:
                told = f"{result.name}: {failure.short} {failure.message or failure.what}"
                yield Sign(level=failure.level, what=told, entry=failure.entry)
