"""A matrix asked of the sample app's images, with a plan and checks of a test's own."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from lab.assembly import Lab
from lab.compat.model import Matrix
from lab.manifest import COMPAT_MEMORY, CompatKeys, Version
from lab.migrate import read_plan
from lab.operations.compat import CompatRequest, compat
from lab.project import project_at

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "sample_app" / "schema"
PROJECT = "t-compat"
PLAIN = ROOT / "tests" / "compat_plain.toml"
"""What a scenario's versions have in common."""


def sample_plan(folder: Path, change: Callable[[Path], None] = lambda _folder: None) -> Path:
    """The sample app's plan and checks in a folder of the test's own, changed."""
    shutil.copytree(SCHEMA, folder / "schema")
    change(folder / "schema")
    return folder / "schema" / "plan.toml"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, (path.name, old)
    path.write_text(text.replace(old, new, 1))


def ask(
    plan: Path,
    *,
    project: str,
    levels: str,
    everything: bool = False,
    checks: Path | None = None,
    codes: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    memory: int = COMPAT_MEMORY,
) -> Matrix:
    """`codes`: version -> what its APP_CODE is; the manifest's own versions unless given."""
    lab = Lab(project=project_at(ROOT, project))
    manifest = lab.manifest
    keys = CompatKeys(
        checks=checks or plan.with_name("compat.toml"),
        environment=environment or manifest.compat.environment,
        memory=memory,
    )
    versions = manifest.versions if codes is None else {name: _version(name, code) for name, code in codes.items()}
    # what the manifest names, as if it named these
    vars(lab)["manifest"] = replace(manifest, schema_plan=plan, compat=keys, versions=versions)
    vars(lab)["plan"] = read_plan(plan)
    return compat(lab, CompatRequest(levels=levels, everything=everything), told=print)


def _version(name: str, code: str) -> Version:
    return Version(name=name, serves_as=name, image=None, environment={"APP_CODE": code})


def grid(matrix: Matrix) -> dict[str, str]:
    """Cell -> its state, with what failed in it."""
    told = {}
    for result in matrix.results():
        counts = " ".join(result.counts)
        told[result.name] = f"{result.state} {counts}".strip() + (" (works)" if result.could_be_allowed else "")
    return told
