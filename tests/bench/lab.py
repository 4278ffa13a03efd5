"""`make bench`: what the command costs, one line per target: `target NAME VALUE LIMIT ok|MISSED`.

`first-lab-up` clones this checkout and runs `make lab-up` in the clone on an engine without the lab's images. It
removes those images, and is run only with --first.
"""

import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMITS = tomllib.loads(Path(__file__).with_name("limits.toml").read_text())["lab"]
LAB = [sys.executable, "-m", "lab"]
PROJECT = "bench"


def main() -> int:
    rows: dict[str, Callable[[], float]] = {
        "help": _help,
        "up-from-down": _from_down,
        "up-when-up": _when_up,
        "reset-after-roll": _reset,
    }
    try:
        missed = [name for name, measure in rows.items() if not _row(name, measure)]
        _lab("down")
        first = _first if "--first" in sys.argv else None
        missed += [] if _row("first-lab-up", first) else ["first-lab-up"]
    finally:
        _lab("down")
    return 1 if missed else 0


def _row(name: str, measure: Callable[[], float] | None) -> bool:
    limit = LIMITS[name]
    value = measure() if measure else None
    ok = value is not None and value <= limit
    print(
        f"target {name} {'skipped' if value is None else f'{value:.2f}'} {limit} {'ok' if ok else 'MISSED'}", flush=True
    )
    return ok


def _help() -> float:
    return sorted(_timed([*LAB, "--help"]) for _ in range(5))[2]


def _from_down() -> float:
    _lab("up")
    _lab("down")
    return _timed([*LAB, "up", "--project", PROJECT])


def _when_up() -> float:
    return _timed([*LAB, "up", "--project", PROJECT])


def _reset() -> float:
    _lab("roll", "v2", "--no-load")
    return _timed([*LAB, "reset", "--project", PROJECT])


def _first() -> float:
    out = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True, check=True
    )
    images = [name for name in out.stdout.split() if name.startswith("rollinglab-")]
    if images:
        subprocess.run(["docker", "rmi", "-f", *images], check=True, capture_output=True)
    subprocess.run(["docker", "image", "prune", "-f"], check=True, capture_output=True)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        environ = {**os.environ, "LAB_NO_SHIM": "1", "LAB_PROJECT": PROJECT}
        try:
            return _timed(["make", "lab-up"], cwd=clone, environ=environ)
        finally:
            subprocess.run(["make", "lab-down"], cwd=clone, env=environ, capture_output=True, check=False)


def _lab(*words: str) -> None:
    subprocess.run([*LAB, *words, "--project", PROJECT], cwd=ROOT, capture_output=True, check=True)


def _timed(argv: list[str], *, cwd: Path = ROOT, environ: dict[str, str] | None = None) -> float:
    began = time.monotonic()
    subprocess.run(argv, cwd=cwd, env=environ, capture_output=True, check=True)
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
