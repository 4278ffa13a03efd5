import platform
import shutil
import sys
from dataclasses import asdict, dataclass

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.errors import Exit, LabError

WANTED_DISK = 4 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    ok: bool
    what: str
    fix: str = ""


@app.command()
def doctor(project: Project = "default", json: Json = False) -> int:
    """Check what the lab needs, and say how to mend what is missing."""
    checks = [_python(), *_engine(project), _disk()]
    bad = [check for check in checks if not check.ok]
    lines = []
    for check in checks:
        lines.append(f"[{'✔' if check.ok else '✖'}] {check.what}")
        lines += [f"      fix: {check.fix}"] if not check.ok and check.fix else []
    lines.append(f"{len(bad)} problem{'s' * (len(bad) != 1)}." if bad else "All is well.")
    data = {"schema": "lab.doctor/1", "ok": not bad, "checks": [asdict(check) for check in checks]}
    _output.result("\n".join(lines), data, as_json=json)
    return Exit.ENVIRONMENT if bad else Exit.OK


def _python() -> Check:
    return Check(
        ok=sys.version_info >= (3, 11), what=f"Python {platform.python_version()}", fix="use Python 3.11 or newer"
    )


def _engine(project: str) -> list[Check]:
    from lab.compose import find_flavour
    from lab.project import is_free

    lab = open_lab(project)
    try:
        endpoint = lab.endpoint
        static = lab.host.static()
        checks = [Check(ok=True, what=f"Docker answers at {endpoint.url} ({endpoint.source})")]
    except LabError as error:
        return [Check(ok=False, what=f"{error.what}: {error.where}", fix=error.fix)]
    try:
        checks.append(Check(ok=True, what=f"Compose: {find_flavour()}"))
    except LabError as error:
        checks.append(Check(ok=False, what=error.what, fix=error.fix))
    if "proxy" in static and static["proxy"].running:
        return [*checks, Check(ok=True, what=f"The lab {project!r} is up on port {lab.port}")]
    if static:
        running = [name for name, one in static.items() if one.running]
        return [
            *checks,
            Check(
                ok=False, what=f"The lab {project!r} is half up: {', '.join(running) or 'nothing'} runs", fix="lab up"
            ),
        ]
    free = is_free(lab.port)
    return [*checks, Check(ok=free, what=f"Port {lab.port} is {'free' if free else 'taken'}", fix="lab up --port N")]


def _disk() -> Check:
    free = shutil.disk_usage("/").free
    return Check(ok=free > WANTED_DISK, what=f"{free / 1024**3:.0f} GiB of disk free (4 wanted)", fix="make room")
