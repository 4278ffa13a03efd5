"""`lab build`: the images of this clone, those that are there already told as such."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from lab.images import bases, parts
from lab.images.bases import Kind
from lab.images.parts import Part
from lab.images.store import Progress, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One image. `seconds` None: it was there."""

    name: str
    reference: str
    seconds: float | None


def build(wanted: Collection[Part], progress: Progress, *, cached: bool = True, postgres: bool = True) -> list[Built]:
    """Make what is missing of these images and of what they stand on; `cached` False: build ours anew."""
    with Store.open() as store:
        built = [_base(store, kind, progress) for kind in Kind if postgres or kind is Kind.PYTHON]
        return [*built, *(_part(store, part, built[0].reference, progress, cached=cached) for part in wanted)]


def _base(store: Store, kind: Kind, progress: Progress) -> Built:
    began, there = time.monotonic(), bases.find(store, kind)
    reference = there or bases.ensure(store, kind, progress)
    return Built(name=str(kind), reference=reference, seconds=None if there else time.monotonic() - began)


def _part(store: Store, part: Part, python: str, progress: Progress, *, cached: bool) -> Built:
    began, tag = time.monotonic(), parts.reference(store, part, python)
    if cached and store.has(tag):
        return Built(name=str(part), reference=tag, seconds=None)
    make = parts.ensure if cached else parts.rebuild
    return Built(name=str(part), reference=make(store, part, python, progress), seconds=time.monotonic() - began)
