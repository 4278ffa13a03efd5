"""A step that another tool takes: told by its environment where the database is, and bounded as our own steps are."""

import os
import subprocess
import time

from lab.database import Database, Session
from lab.errors import LabError
from lab.migrate.plan import Command
from lab.migrate.sql import Locks
from lab.migrate.waiting import Manner

APPLICATION = "lab migrate: command"
ORPHAN_SECONDS = 30.0
SHOWN = 20
_BUSY = ("due to lock timeout", "LockNotAvailable", "deadlock detected")
_ORPHANS = "select pid from pg_stat_activity where application_name = %s and datname = current_database()"


def run_command(command: Command, *, phase: str, database: Database, session: Session, manner: Manner) -> None:
    """Run it to its end; again while tables are busy. LabError `schema-command` has its last lines.

    It has to be able to run again after a kill, as every tool is that keeps its own record in the database.
    """
    _await_orphans(session, phase, manner)
    patience = manner.patience[Locks.BRIEF]
    deadline = time.monotonic() + command.seconds
    told = " ".join(command.argv)
    manner.told(phase, told)
    for tries in range(1, patience.tries + 1):
        code, said = _run(command, database, lock=patience.lock, seconds=max(1.0, deadline - time.monotonic()))
        if code == 0:
            return
        busy = any(words in said for words in _BUSY)
        if not busy or tries == patience.tries or time.monotonic() > deadline:
            break
        manner.told(phase, f"{told}: the table is busy, try {tries}")
        manner.sleep(manner.spread(0.05, 0.5))
    raise LabError(
        id="schema-command",
        what=f"{told} ended with {'its time over' if code is None else f'exit code {code}'}",
        where="\n".join(said.strip().splitlines()[-SHOWN:]),
        fix="mend it, then run the same command again",
    )


def _run(command: Command, database: Database, *, lock: float, seconds: float) -> tuple[int | None, str]:
    environ = {
        **os.environ,
        **database.environment,
        "PGAPPNAME": APPLICATION,
        "PGOPTIONS": f"-c lock_timeout={int(lock * 1000)}ms",
    }
    try:
        done = subprocess.run(
            command.argv,
            cwd=command.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode(errors="replace")
    except OSError as error:
        raise LabError(
            id="schema-command", what=f"{command.argv[0]} cannot be run: {error}", where=str(command.folder)
        ) from error
    return done.returncode, done.stdout.decode(errors="replace")


def _await_orphans(session: Session, phase: str, manner: Manner) -> None:
    """A run that was killed may have left its tool running: two of them at once would do everything twice."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while pids := [row[0] for row in session.run(_ORPHANS, (APPLICATION,))]:
        if time.monotonic() > deadline:
            raise LabError(
                id="migration-runs",
                what=f"a command of an earlier run still works on the schema: database sessions {pids}",
                fix="wait for it or end it, then run the same command again",
            )
        manner.told(phase, f"waits for a command of an earlier run, database sessions {pids}")
        manner.sleep(0.5)
