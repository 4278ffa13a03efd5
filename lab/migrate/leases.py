"""Who runs, as the database knows it: each process of the app holds a shared advisory lock, keyed by its version.

Whoever takes a version away takes the same key exclusively, and keeps it until the step is recorded. A process that
starts meanwhile waits for its lease, and then reads in `lab_gone` that it may not start: there is no moment between.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from lab.database import Session
from lab.migrate.guard import Holder

LEASE = 4997442
_HOLDERS = """
select l.objid::bigint, a.pid, a.application_name, extract(epoch from clock_timestamp() - a.backend_start)
from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.classid = %s and l.objsubid = 2 and l.granted and l.mode = 'ShareLock'
  and l.database = (select oid from pg_database where datname = current_database())
order by a.application_name, a.pid
"""
_KEYS = "select v, hashtext(v)::oid::bigint from unnest(%s::text[]) v"
_STRANGERS = """
select distinct a.application_name, a.pid from pg_stat_activity a
where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
  and a.application_name not like 'lab%%' and not exists (
    select from pg_locks l join pg_stat_activity h using (pid)
    where l.locktype = 'advisory' and l.classid = %s and h.client_addr is not distinct from a.client_addr)
order by 1, 2
"""


def holders(session: Session, versions: tuple[str, ...]) -> tuple[Holder, ...]:
    keys = {key: version for version, key in session.run(_KEYS, (list(versions),))}
    return tuple(
        Holder(version=keys.get(key), name=_replica(name) or f"database session {pid}", pid=pid, seconds=float(age))
        for key, pid, name, age in session.run(_HOLDERS, (LEASE,))
    )


def strangers(session: Session) -> tuple[str, ...]:
    """Clients of the database at whose address nobody holds a lease: nobody knows which version they need."""
    names: dict[str, int] = {}
    for name, _ in session.run(_STRANGERS, (LEASE,)):
        names[name or "unnamed"] = names.get(name or "unnamed", 0) + 1
    return tuple(f"{name} ({count})" for name, count in names.items())


@contextmanager
def excluded(session: Session, versions: frozenset[str]) -> Iterator[frozenset[str]]:
    """Keep these versions from starting for as long as the block; yields those of which somebody runs nevertheless."""
    had: list[str] = []
    try:
        for version in sorted(versions):
            if session.run("select pg_try_advisory_lock(%s, hashtext(%s))", (LEASE, version))[0][0]:
                had.append(version)  # noqa: PERF401  what was had is given back, whatever happens to the next
        yield versions - set(had)
    finally:
        for version in had:
            session.run("select pg_advisory_unlock(%s, hashtext(%s))", (LEASE, version))


def _replica(application: str) -> str:
    """`lab/<app>/<version>/<replica>`."""
    return application.rpartition("/")[2] if application.startswith("lab/") else application
