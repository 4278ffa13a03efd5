"""`lab compat`: which versions, which plan, which checks; and the engine's side of the matrix."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from lab import images
from lab.assembly import Lab
from lab.compat.checks import Checks, read_checks
from lab.compat.containers import containers
from lab.compat.model import Matrix
from lab.compat.recordings import Recordings
from lab.compat.run import Host, Means, Question, ask
from lab.database import Database
from lab.errors import LabError, UsageError
from lab.manifest import Version
from lab.migrate.plan import ChangePlan
from lab.migrate.reading import read_plan

HIGHEST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatRequest:
    """`versions`: as the manifest names them, the oldest first; none: the oldest and the newest of the plan."""

    versions: tuple[str, ...] = ()
    levels: str = "0-3"
    everything: bool = False


def compat(lab: Lab, request: CompatRequest, told: Callable[[str], None]) -> Matrix:
    """Ask the matrix. UsageError for what cannot be meant, LabError for a plan or an engine that cannot be used."""
    levels = levels_of(request.levels)
    plan = _plan(lab)
    checks = read_checks(lab.manifest.compat.checks) if lab.manifest.compat.checks else None
    question = Question(
        plan=plan,
        versions=_versions(lab, plan, request.versions),
        checks=_known(checks, plan),
        levels=levels,
        environment=lab.manifest.compat.environment,
        readiness=lab.manifest.readiness,
        ready_seconds=lab.manifest.ready_timeout,
        everything=request.everything,
    )
    made = lab.ensure_images(told)
    manifest = hashlib.sha256(lab.manifest.path.read_bytes()).hexdigest()
    means = Means(
        host=lambda: _host(lab, made, question.versions, told),
        recordings=Recordings(lab.project.folder / "compat" / "recordings"),
        image_of=lambda version: f"{lab.host.image_id(version.image or _image(lab, made))} {manifest}",
        told=told,
    )
    return ask(question, means)


def levels_of(text: str) -> tuple[int, ...]:
    """`2`, or `0-3`."""
    first, dash, last = text.partition("-")
    last = last if dash else first
    digits = first.isdecimal() and last.isdecimal()
    if not digits or not int(first) <= int(last) <= HIGHEST:
        what = f"--levels {text!r} is no range of 0 to {HIGHEST}"
        raise UsageError(id="compat-levels", what=what, fix="--levels 0-3")
    return tuple(range(int(first), int(last) + 1))


def _plan(lab: Lab) -> ChangePlan:
    own = lab.manifest.compat.plan
    plan = lab.plan or (read_plan(own) if own else None)
    if plan is None:
        raise LabError(
            id="no-schema-plan",
            what="the manifest names no schema plan",
            fix="x-lab.schema.plan in the manifest; x-lab.compat.plan where the database is not the lab's",
        )
    return plan


def _versions(lab: Lab, plan: ChangePlan, names: tuple[str, ...]) -> tuple[Version, ...]:
    """LabError `compat-versions` where the plan does not speak of one."""
    manifest = lab.manifest
    if not names:
        known = {version.serves_as: version for version in reversed(list(manifest.versions.values()))}
        names = tuple(known[v].name for v in (plan.versions[:1] + plan.versions[-1:]) if v in known)
        names = tuple(dict.fromkeys(names))
    found = tuple(manifest.version(name) for name in names)
    if len({version.serves_as for version in found}) != len(found):
        raise UsageError(id="compat-versions", what="both are the same version to the schema's plan", fix="name two")
    for version in found:
        if version.serves_as not in plan.versions:
            raise LabError(
                id="compat-versions",
                what=f"the schema's plan does not speak of {version.serves_as}, which {version.name} serves as",
                where=str(plan.file),
                fix="`serves` and `versions` of the plan; serves_as of the version in the manifest",
            )
    return tuple(sorted(found, key=lambda version: plan.versions.index(version.serves_as)))


def _known(checks: Checks | None, plan: ChangePlan) -> Checks | None:
    """Every version that the checks speak of is one of the plan's."""
    if checks is None:
        return None
    named = set(checks.clients or ())
    for resource in checks.resources:
        for field in resource.fields:
            named |= set(field.known or ()) | set(field.written or ())
    for check in checks.checks:
        named |= set(check.versions or ())
    if strange := sorted(named - set(plan.versions)):
        raise LabError(
            id="compat-checks",
            what=f"the checks speak of {strange[0]!r}, and the plan does not",
            where=str(checks.file),
            fix=f"use one of: {', '.join(plan.versions)}",
        )
    return checks


def _image(lab: Lab, made: images.Images) -> str:
    """What a version without an image of its own runs."""
    if not lab.manifest.around.own:
        return made.app
    return lab.compose(made).images().get(lab.manifest.service) or "none"


@contextmanager
def _host(lab: Lab, made: images.Images, versions: tuple[Version, ...], told: Callable[[str], None]) -> Iterator[Host]:
    lab.refuse_another_checkout()
    folder, began = lab.project.folder / "compat", time.monotonic()
    with containers(lab.docker, secrets=asdict(lab.secrets), folder=folder, told=told) as own:
        templates = own.templates(lab.manifest, versions, lab.environ(made), lambda: lab.compose(made))
        server = own.start_database(templates["db"], memory=lab.manifest.compat.memory)
        database = Database(port=server.port, password=lab.secrets.db_password)
        database.wait_until_up(alive=lambda: own.must_run(server))
        told(f"database a server of its own  {time.monotonic() - began:.1f}s")
        yield Host(containers=own, templates=templates, database=database)
