"""A copy of the database to try a step on: all its tables and rows, and nobody but us in it."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.database import Database, Session, SqlError
from lab.errors import LabError

PREFIX = "lab_clone_"
OLD_SECONDS = 3600
COPY_SECONDS = 1800.0
_OTHERS = """
select distinct coalesce(nullif(application_name, ''), 'unnamed') from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend' order by 1
"""
_CLONES = "select datname from pg_database where datname like 'lab\\_clone\\_%'"
_COPY = 'pg_dump --username "$0" --format plain "$1" | psql --username "$0" --no-psqlrc --quiet --output /dev/null \
--set ON_ERROR_STOP=1 "$2"'


@contextmanager
def cloned(database: Database) -> Iterator[Database]:
    """Make a copy, and drop it at the end. One that a killed run left is dropped by the next, an hour later."""
    name = f"{PREFIX}{int(time.time())}_{secrets.token_hex(3)}"
    with database.session("lab migrate: clone") as session:
        _drop_old(session)
        _make(database, session, name)
        try:
            yield database.called(name)
        finally:
            session.run(f"drop database if exists {name} with (force)")


def _make(database: Database, session: Session, name: str) -> None:
    session.limit(lock=0, statement=COPY_SECONDS, local=False)
    others = [str(row[0]) for row in session.run(_OTHERS)]
    if not others:
        try:
            session.run(f'create database {name} template "{database.name}"')
        except SqlError as error:
            if error.sqlstate != "55006":
                raise
            others = ["somebody"]
        else:
            return
    if database.inside is None:
        raise LabError(
            id="clone-busy",
            what=f"{database.name} cannot be copied while others use it: {', '.join(others)}",
            where=database.where,
            fix="try it where nobody is connected; a dry run needs a copy",
        )
    session.run(f"create database {name}")
    # a template has to be free of others; a dump has not
    code, said = database.inside(["bash", "-o", "pipefail", "-c", _COPY, database.user, database.name, name])
    if code:
        session.run(f"drop database if exists {name} with (force)")
        last = "\n".join(said.strip().splitlines()[-5:])
        raise LabError(id="clone-failed", what=f"the database cannot be copied: exit code {code}", where=last)


def _drop_old(session: Session) -> None:
    for (name,) in session.run(_CLONES):
        made = str(name).removeprefix(PREFIX).partition("_")[0]
        if made.isdigit() and time.time() - int(made) > OLD_SECONDS:
            session.run(f"drop database if exists {name} with (force)")
