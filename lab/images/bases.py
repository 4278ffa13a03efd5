"""The two base images and where each may come from: the local store, a registry, Debian's packages."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.errors import LabError
from lab.images import debian
from lab.images.context import digest, pack, package_files
from lab.images.debian import Root
from lab.images.lock import locked
from lab.images.store import Progress, Store
from lab.ownership import IMAGE_PREFIX


class Kind(StrEnum):
    """The base images the lab stands on."""

    PYTHON = "python"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base image: its name in the registry, and how to make one that can stand in for it."""

    kind: Kind
    variable: str
    registry: str
    root: Root
    context: bytes = b""

    @property
    def own(self) -> str:
        """The tag of the image we make ourselves; it says all that goes into it."""
        if not self.context:
            return self.root.reference
        return f"{IMAGE_PREFIX}{self.kind}:{digest(self.root.reference, self.context)}"


_HERE = Path(__file__).parent
_LLVM = ("/usr/lib/*/libLLVM*", "/usr/lib/*/libz3.so*", "/usr/lib/postgresql/*/lib/bitcode/*")
_PERL = ("/usr/lib/*/perl/5*/CORE/*", "/usr/share/i18n/*")


def base(kind: Kind) -> Base:
    if kind is Kind.PYTHON:
        root = Root(
            name="python",
            packages=("ca-certificates", "python3", "python3-venv"),
            changes=("ENV LANG=C.UTF-8", 'CMD ["python3"]'),
        )
        return Base(kind=kind, variable="LAB_PYTHON_IMAGE", registry="python:3.13-slim", root=root)
    files = package_files(_HERE / "postgres")
    root = Root(
        name="postgres-root",
        packages=("postgresql-17",),
        left_out=(*_LLVM, *_PERL),
        before_packages=files.pop("account.sh").decode(),
    )
    return Base(
        kind=kind,
        variable="LAB_POSTGRES_IMAGE",
        registry="postgres:17-alpine",
        root=root,
        context=pack(files),
    )


def wanted(base: Base, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the references that will do, the best first: the one asked for, or our own, or the registry's.

    Our own stands first so that images loaded from a file are used as they are, whatever else is in the store.
    """
    asked = environ.get(base.variable, "")
    if asked:
        return (asked if ":" in asked.rpartition("/")[2] or "@" in asked else f"{asked}:latest",)
    return (base.own, base.registry)


def find(store: Store, kind: Kind, environ: Mapping[str, str] | None = None) -> str:
    """Return the reference of the base image in the local store, or nothing."""
    references = wanted(base(kind), os.environ if environ is None else environ)
    return next((reference for reference in references if store.has(reference)), "")


def ensure(store: Store, kind: Kind, progress: Progress, environ: Mapping[str, str] | None = None) -> str:
    """Return the reference of the base image, which is in the local store from now on."""
    settings = os.environ if environ is None else environ
    found = find(store, kind, settings)
    if found:
        return found
    with locked(f"base-{kind}", progress):
        return find(store, kind, settings) or _fetch(store, base(kind), progress, settings)


def _fetch(store: Store, base: Base, progress: Progress, environ: Mapping[str, str]) -> str:
    reference = wanted(base, environ)[-1]
    tried = [_pull(store, reference, progress)]
    if not tried[0]:
        return reference
    if not environ.get(base.variable):
        tried.append(debian.available())
        if not tried[-1]:
            _bootstrap(store, base, progress, environ.get("LAB_DEBIAN_MIRROR", ""))
            return base.own
    raise LabError(
        id="base-image",
        what=f"there is no {base.kind} base image ({reference}), and none could be had",
        where="; ".join(tried),
        fix=f"lab images load FILE (made by `lab images save FILE` where they are), or set {base.variable}",
    )


def _pull(store: Store, reference: str, progress: Progress) -> str:
    if not store.registry_answers(reference):
        return f"no registry answered for {reference} within 3 s"
    progress(f"{reference}: pulling")
    failure = store.pull(reference, progress)
    return f"pulling {reference}: {failure}" if failure else ""


def _bootstrap(store: Store, base: Base, progress: Progress, mirror: str) -> None:
    if not store.has(base.root.reference):
        debian.make(base.root, store, progress, mirror=mirror)
    if base.context:
        store.build(base.context, base.own, {"BASE": base.root.reference}, None)
