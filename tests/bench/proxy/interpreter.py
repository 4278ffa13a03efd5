"""The Python that ours and the plain proxy run on: the distribution's, as nginx and HAProxy are the distribution's.

A Python built by hand, without the compiler's profile, is up to a fifth slower: then the ratios would measure that.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.proxy.processes import ROOT

_SYSTEM = "/usr/bin/python3"
_LEAST = (3, 11)
_SECONDS = 300


def interpreter(say: Callable[[str], None]) -> str:
    """Return its path, in an environment that holds what the proxy's image holds; ours where there is none."""
    if sys.base_prefix == "/usr" or not _is_new_enough():
        return sys.executable
    requirements = ROOT / "proxy" / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = ROOT / ".lab" / "bench-python"
    made, program = folder / "made-of", folder / "bin" / "python"
    if made.exists() and made.read_text() == wanted:
        return str(program)
    say("setting up the distribution's Python for the proxies")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _run(_SYSTEM, "-m", "venv", "--without-pip", str(folder))
        _run(
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(program),
            "install",
            "-q",
            "--require-hashes",
            "-r",
            str(requirements),
        )
    except (OSError, subprocess.SubprocessError) as error:
        say(f"the distribution's Python cannot be used ({error}): the figures are of {sys.executable}")
        return sys.executable
    made.write_text(wanted)
    return str(program)


def about(program: str) -> str:
    """Say which Python that is."""
    done = subprocess.run([program, "-VV"], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    whose = "the lab's own" if program == sys.executable else "the distribution's"
    return f"Python {found[0] if found else 'unknown'} ({whose})"


def _is_new_enough() -> bool:
    if not Path(_SYSTEM).exists():
        return False
    done = subprocess.run(
        [_SYSTEM, "-c", f"import sys; raise SystemExit(sys.version_info < {_LEAST})"], check=False, timeout=10
    )
    return done.returncode == 0


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=_SECONDS)
