"""`lab doctor`: what the lab needs, looked at here and now. Changes nothing."""

import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lab.assembly import Lab
from lab.checkup import Check, Mark, check
from lab.compose import Flavour, find_flavour, version_of
from lab.errors import LabError
from lab.images import bases, parts
from lab.images.bases import Kind
from lab.images.parts import Part
from lab.images.store import Store
from lab.port_owner import port_owner
from lab.project import is_free, recorded_port

WANTED_DISK = 4 * 1024**3
WANTED_MEMORY = 2 * 1024**3
GIB = 1024**3
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: *; *([^\\]+))?", re.MULTILINE)


def examine(lab: Lab, *, offline: bool) -> list[Check]:
    """`offline`: whether all that is needed is here, so that no network is."""
    checks = [_python(), _disk(), *_packages(lab.project.home / "lab/requirements.txt", offline=offline)]
    checks += _guarded("manifest", lambda: [_manifest(lab)])
    engine = list(_guarded("docker", lambda: _engine(lab)))
    checks += engine
    if any(one.mark is Mark.PROBLEM for one in engine):
        return checks
    checks += _guarded("compose", lambda: [_compose(lab)])
    checks += _guarded("images", lambda: [_images(offline=offline)])
    return [*checks, *_guarded("lab", lambda: _running(lab))]


def _guarded(id: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """What cannot be looked at is a problem of that name, with the error's own fix."""
    try:
        yield from look()
    except LabError as error:
        where = f": {error.where}" if error.where else ""
        yield Check(id=id, mark=Mark.PROBLEM, what=f"{error.what}{where}", fix=error.fix)


def _python() -> Check:
    version = platform.python_version()
    return check("python", sys.version_info >= (3, 11), f"Python {version}", "use Python 3.11 or newer: make setup")


def _disk() -> Check:
    free = shutil.disk_usage("/").free
    what = f"{free / GIB:.0f} GiB of disk free ({WANTED_DISK / GIB:.0f} wanted)"
    return check("disk", free > WANTED_DISK, what, "make room: docker system df shows what Docker holds")


def _packages(lock: Path, *, offline: bool) -> Iterator[Check]:
    """Whether the locked packages are those that this Python has."""
    try:
        pins = pins_of(lock.read_text(encoding="utf-8"))
    except OSError:
        return  # installed without its clone: whoever did so has the packages
    wrong = [f"{name} {have or 'missing'}, not {want}" for name, want in pins if (have := _installed(name)) != want]
    told = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")  # noqa: PLR2004
    what = f"{len(pins)} packages as locked" if not wrong else f"Not the locked packages: {told}"
    yield check("packages", not wrong, what, "make setup", otherwise=Mark.PROBLEM if offline else Mark.WARNING)


def pins_of(lock: str) -> list[tuple[str, str]]:
    """(name, version) of what a lock wants on this machine; what its marker leaves out is not needed."""
    found = [(match[1], match[2], (match[3] or "").strip()) for match in _PIN.finditer(lock)]
    return [(name, version) for name, version, marker in found if _applies(marker)]


def _applies(marker: str) -> bool:
    """The few markers that uv writes. One that is not understood does not apply: no fault is found by a guess."""
    if not marker:
        return True
    try:
        from packaging.markers import Marker
    except ImportError:
        return False
    return Marker(marker).evaluate()


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _manifest(lab: Lab) -> Check:
    names = list(lab.manifest.versions)
    versions = f"{', '.join(names[:2])}, {len(names)} versions in all" if names else "a version is an image"
    return check("manifest", True, f"Manifest: the service {lab.manifest.service}; {versions}", "")


def _engine(lab: Lab) -> Iterator[Check]:
    endpoint = lab.endpoint
    version = lab.docker.version()
    yield check("docker", True, f"Docker {version.engine} at {endpoint.url} ({endpoint.source}), API {version.api}", "")
    memory = version.memory / GIB
    what = f"{memory:.1f} GiB of memory and {version.processors} processors for containers"
    fix = f"give Docker {WANTED_MEMORY / GIB:.0f} GiB: three replicas, the proxy, PostgreSQL and the load"
    yield check("memory", version.memory >= WANTED_MEMORY, what, fix, otherwise=Mark.WARNING)
    if other := lab.docker.home_of_others():
        what = f"The lab {lab.project.name!r} on this engine belongs to {other}"
        yield check("home", False, what, "use it from there, or one of your own: --project NAME")


def _compose(lab: Lab) -> Check:
    record = lab.project.folder / "compose" / "flavour"
    kept = record.read_text() if record.exists() else ""
    flavour, found = Flavour(kept) if kept in set(Flavour) else None, find_flavour()
    if flavour and flavour is not found and not version_of(flavour):
        what = f"Compose: the lab was started with `{flavour}`, which does not answer now"
        return check("compose", False, what, "lab down, then lab up with the Compose that is there")
    used = flavour or found
    return check("compose", True, f"Compose {version_of(used)} (`{' '.join(used.program)}`)", "")


def _images(*, offline: bool) -> Check:
    with Store.open() as store:
        missing = [str(kind) for kind in Kind if not bases.find(store, kind)]
        python = bases.find(store, Kind.PYTHON)
        missing += [str(part) for part in Part if not (python and store.has(parts.reference(store, part, python)))]
    count = len(Kind) + len(Part)
    what = f"{count} images present" if not missing else f"Images missing: {', '.join(missing)}"
    fix = "lab build, where there is a network"
    if offline:
        fix += "\nor lab images load FILE, made by lab images save FILE where they are"
    return check("images", not missing, what, fix, otherwise=Mark.PROBLEM if offline else Mark.WARNING)


def _running(lab: Lab) -> Iterator[Check]:
    static, name = lab.host.static(), lab.project.name
    if "proxy" in static and static["proxy"].running:
        yield check("lab", True, f"The lab {name!r} is up on port {lab.port}", "")
        return
    if static:
        running = ", ".join(one for one, its in static.items() if its.running) or "nothing"
        yield check("lab", False, f"The lab {name!r} is half up: {running} runs", "lab up")
        return
    port = recorded_port(lab.project) or lab.port
    free = is_free(port)
    told = "is free" if free else f"is taken by {port_owner(port, lab.host.everybody())}"
    yield check("port", free, f"Port {port} {told}", "stop what listens there, or lab up --port N")
