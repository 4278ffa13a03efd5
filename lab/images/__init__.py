"""The images the lab runs on: found by content, made where they are missing, saved and loaded as one file."""

from lab.images.bases import Kind, ensure
from lab.images.store import Progress, Store

__all__ = ["Kind", "ensure_base", "ensure_postgres_base"]


def _silent(_: str) -> None:
    return


def ensure_base(kind: Kind, progress: Progress = _silent) -> str:
    """Return the reference of a base image that is in the engine's store from now on."""
    return ensure(Store.open(), kind, progress)


def ensure_postgres_base() -> str:
    """Return the reference of the PostgreSQL base image; tests start their databases from it."""
    return ensure_base(Kind.POSTGRES)
