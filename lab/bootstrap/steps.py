"""The set-up, step by step. Each step says what it did and how long it took; a second run finds nothing to do."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lab.bootstrap import browser, engine, environment, machine, shim
from lab.bootstrap.packages import Apt
from lab.errors import LabError

CLONE = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    """Set the machine up: for `lab`; `--dev`: for the tests; `--dev --no-engine`: for the checks."""
    unknown = set(arguments) - {"--dev", "--no-engine"}
    if unknown:
        say(f"error: unknown argument {unknown.pop()}; there are --dev and --no-engine")
        return 2
    try:
        _set_up(dev="--dev" in arguments, with_engine="--no-engine" not in arguments)
    except LabError as error:
        say(f"error: {error.what}")
        for name, text in (("where", error.where), ("fix", error.fix)):
            if text:
                say(f"  {name}: " + text.replace("\n", "\n    "))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted; run it again to go on")
        return 130
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _set_up(*, dev: bool, with_engine: bool) -> None:
    facts = machine.look(os.environ)
    home = Path.home()
    apt = Apt(say=say)

    def python() -> tuple[bool, str]:
        return environment.ensure(CLONE, "dev" if dev else "lab", facts, apt), ".venv"

    def command() -> tuple[bool, str]:
        if os.environ.get("LAB_NO_SHIM", "") not in {"", "0"}:
            return False, "left out (LAB_NO_SHIM)"
        return shim.ensure(CLONE, os.environ, home, root=facts.root)

    def docker() -> tuple[bool, str]:
        return engine.ensure(facts, os.environ, home, apt, say)

    _step("python packages", python)
    if not dev:
        _step("lab command", command)
    if with_engine:
        _step("docker engine", docker)
    if dev and with_engine:
        _step("browser", lambda: browser.ensure(facts, apt))


def _step(name: str, work: Callable[[], tuple[bool, str]]) -> None:
    start = time.monotonic()
    changed, note = work()
    state = "done" if changed else "ready"
    say(f"{name}: {state}, {note} ({time.monotonic() - start:.1f} s)")
