"""Databases and plans for the tests of the schema's steps."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from lab import migrate
from lab.database import Database
from tests.component.conftest import Postgres


def database_on(postgres: Postgres, name: str = "migrate") -> Database:
    made = postgres.new_database(name)["dbname"]
    return Database(host=postgres.host, port=postgres.port, password=postgres.password, user="lab", name=made)


def reached(database: Database) -> dict[str, Any]:
    return {
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password,
        "dbname": database.name,
    }


def write_plan(folder: Path, plan: str, **files: str) -> migrate.ChangePlan:
    """A plan and its SQL files: `up_sql` is up.sql."""
    for name, text in files.items():
        stem, _, kind = name.rpartition("_")
        (folder / f"{stem}.{kind}").write_text(text)
    (folder / "plan.toml").write_text(plan)
    return migrate.read_plan(folder / "plan.toml")


def killed_at(write: int, *, after: bool, work: Callable[..., None], arguments: tuple[object, ...]) -> bool:
    """Do the work in a process of its own that is killed (SIGKILL) before, or after, its so-many-th durable write.

    Durable is a commit, and a statement outside of any transaction. False: the work had come to its end before.
    """
    child = SPAWN.Process(target=_victim, args=(write, after, work, arguments))
    child.start()
    child.join(60)
    assert child.exitcode in {0, -signal.SIGKILL}, child.exitcode
    return child.exitcode != 0


SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["lab.migrate", "psycopg", "tests.component.migrate_world"])
_READS = ("select", "set", "with")


def _victim(write: int, after: bool, work: Callable[..., None], arguments: tuple[object, ...]) -> None:
    left = write

    def durable(do: Callable[[], Any]) -> Any:
        nonlocal left
        left -= 1
        if left <= 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        done = do()
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    execute, leave = psycopg.Connection.execute, psycopg.Transaction.__exit__

    def executed(self: Any, query: Any, *words: Any, **more: Any) -> Any:
        text = (query.decode() if isinstance(query, bytes) else str(query)).lstrip().lower()
        idle = self.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        do = lambda: execute(self, query, *words, **more)  # noqa: E731
        return do() if text.startswith(_READS) or not idle else durable(do)

    psycopg.Connection.execute = executed  # type: ignore[method-assign]
    psycopg.Transaction.__exit__ = lambda *words: durable(lambda: leave(*words))  # type: ignore[method-assign]
    work(*arguments)
