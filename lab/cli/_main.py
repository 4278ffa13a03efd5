"""From arguments to exit code. Every failure is either a LabError or a bug of ours."""

import errno
import os
import sys
import traceback
from pathlib import Path

from lab.errors import Exit, JournalError, LabError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if sys.platform == "win32":
        sys.stderr.write("error: the lab runs on Linux, macOS and inside WSL2, not on native Windows   [platform]\n")
        return Exit.ENVIRONMENT
    from typer import Exit as TyperExit
    from typer._click.exceptions import ClickException

    from lab.cli import _detach, _output
    from lab.cli._commands import app

    _detach.remember(arguments)
    if "_LAB_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()

    try:
        code = app(arguments, prog_name="lab", standalone_mode=False)
    except ClickException as error:
        error.show()
        return Exit.USAGE
    except TyperExit as error:
        return error.exit_code
    except LabError as error:
        _output.failure(error, as_json="--json" in arguments)
        return error.exit_code
    except OSError as error:
        if error.errno not in _NO_ROOM:
            return _bug()
        full = _full(error)
        _output.failure(full, as_json="--json" in arguments)
        return full.exit_code
    except Exception:  # noqa: BLE001  the last line of defence: a bug is told as one
        return _bug()
    return code if isinstance(code, int) else Exit.OK


def _full(error: OSError) -> LabError:
    """A disk that is full. Where the journal found it first, what came after that says nothing more."""
    if isinstance(error.__context__, JournalError):
        return error.__context__
    return LabError(
        id="no-room",
        what=f"a file of the lab cannot be written: {error.strerror}",
        where=str(error.filename or ""),
        fix="make room on its disk; lab resume then goes on with a rollout that had begun",
    )


def _bug() -> int:
    path = Path(".lab") / "crash.txt"
    text = traceback.format_exc()
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    except OSError:
        sys.stderr.write(text)
    last = text.strip().splitlines()[-1]
    sys.stderr.write(f"error: a bug in the lab: {last}   [bug]\n  where  {path} has the traceback\n")
    return Exit.BUG
