"""All five images at once: nothing to do when they are there, as much side by side as two cores allow when not."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.images import bases, parts
from lab.images.bases import Kind
from lab.images.parts import Part
from lab.images.store import Progress, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """References for the manifest; every one is in the engine's store."""

    python: str
    postgres: str
    proxy: str
    app: str
    load: str


def silent(_: str) -> None:
    """Progress that nobody wants to see."""


def ensure_all(progress: Progress = silent) -> Images:
    """Return all five images, making those that are missing."""
    with Store.open() as store:
        return find_all(store) or _make_all(store, progress)


def ensure_some(wanted: frozenset[Part], progress: Progress = silent) -> Images:
    """Return those of our own images, making the missing ones; "-" stands for what was not asked for."""
    with Store.open() as store:
        python = bases.ensure(store, Kind.PYTHON, progress)
        built = {part: parts.ensure(store, part, python, progress) if part in wanted else "-" for part in Part}
        return _images(python, "-", built)


def obtain(reference: str, progress: Progress = silent) -> str:
    """Have an image of somebody's own in the store. Return why it cannot be had, or nothing."""
    with Store.open() as store:
        if store.has(reference):
            return ""
        if not store.registry_answers(reference):
            return "it is not in the engine's store, and no registry answered for it within 3 s"
        progress(f"{reference}: pulling")
        failure = store.pull(reference, progress)
        return f"it is not in the engine's store, and pulling it failed: {failure}" if failure else ""


def find_all(store: Store) -> Images | None:
    """Return all five images if all are in the store."""
    python = bases.find(store, Kind.PYTHON)
    postgres = bases.find(store, Kind.POSTGRES)
    if not (python and postgres):
        return None
    found = {part: parts.reference(store, part, python) for part in Part}
    if not all(store.has(reference) for reference in found.values()):
        return None
    return _images(python, postgres, found)


def wanted_by(roots: Iterable[Path]) -> frozenset[str] | None:
    """What the code of these clones would run on. None: there is no base image, so that nobody can tell."""
    with Store.open() as store:
        python = bases.find(store, Kind.PYTHON)
        if not python:
            return None
        wanted, base = set(), store.fingerprint(python)
        for root in roots:
            with suppress(OSError, KeyError):  # no clone any more, or one of another make
                wanted |= {parts.source(part, root).reference(base) for part in Part}
        return frozenset(wanted)


def ensure_base(kind: Kind, progress: Progress = silent) -> str:
    """Return the reference of a base image that is in the engine's store from now on."""
    with Store.open() as store:
        return bases.ensure(store, kind, progress)


def ensure_postgres_base() -> str:
    """Return the reference of the PostgreSQL base image; tests start their databases from it."""
    return ensure_base(Kind.POSTGRES)


def _make_all(store: Store, progress: Progress) -> Images:
    start = time.monotonic()

    def base(kind: Kind) -> str:
        with store.another() as own:
            reference = bases.ensure(own, kind, progress)
        progress(f"{kind}: {reference} ({time.monotonic() - start:.1f} s)")
        return reference

    def part(name: Part, python: str) -> str:
        with store.another() as own:
            reference = parts.ensure(own, name, python, progress)
        progress(f"{name}: {reference} ({time.monotonic() - start:.1f} s)")
        return reference

    with ThreadPoolExecutor(len(Part) + 1) as pool:
        postgres = pool.submit(base, Kind.POSTGRES)
        python = base(Kind.PYTHON)
        building = {name: pool.submit(part, name, python) for name in Part}
        built = {name: future.result() for name, future in building.items()}
        return _images(python, postgres.result(), built)


def _images(python: str, postgres: str, built: dict[Part, str]) -> Images:
    return Images(python=python, postgres=postgres, proxy=built[Part.PROXY], app=built[Part.APP], load=built[Part.LOAD])
