"""Our own three images: what goes into them, and the tags that say so."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import lab
from lab.images.context import digest, pack, package_files
from lab.images.host import HostNetwork, this_host
from lab.images.lock import locked
from lab.images.store import Progress, Store
from lab.ownership import IMAGE_PREFIX


class Part(StrEnum):
    """The images that are built from this clone; the value stands in the tag."""

    PROXY = "proxy"
    APP = "app"
    LOAD = "load"


_NOT_IN = {Part.APP: ("plan.toml", "compat.toml", ".sql")}
"""Plans, their SQL and the checks are read from the clone at each command: an edit is no reason to build anything."""
_PACKAGES = {Part.PROXY: "proxy", Part.APP: "sample_app", Part.LOAD: "loadtest"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The files an image is built from: those that make it what it is, by name."""

    part: Part
    files: dict[str, bytes]

    def reference(self, base_fingerprint: str) -> str:
        """Return the tag that says all that goes into the image; the network it was built in does not."""
        return f"{IMAGE_PREFIX}{self.part}:{digest(pack(self.files), base_fingerprint)}"

    def context(self, network: HostNetwork) -> bytes:
        return pack({**self.files, "authorities.pem": network.authorities})


def clone() -> Path:
    """Return the clone this code runs from."""
    return Path(lab.__file__).parents[1]


def source(part: Part, root: Path | None = None) -> Source:
    package = _PACKAGES[part]
    folder = (root or clone()) / package
    found, left_out = package_files(folder, f"{package}/"), _NOT_IN.get(part, ())
    files = {name: data for name, data in found.items() if not name.endswith(left_out)}
    for name in ("Dockerfile", "requirements.txt"):
        files[name] = files.pop(f"{package}/{name}")
    return Source(part=part, files=files)


def reference(store: Store, part: Part, python: str) -> str:
    """Return the reference that the image of this clone has on that base image, whether it exists or not."""
    return source(part).reference(store.fingerprint(python))


def ensure(store: Store, part: Part, python: str, progress: Progress) -> str:
    """Return the reference of the image, built now if no image of that content is in the store."""
    wanted = source(part)
    tag = wanted.reference(store.fingerprint(python))
    if store.has(tag):
        return tag
    with locked(f"{part}-{tag[-12:]}", progress):
        if not store.has(tag):
            progress(f"{part}: building")
            _build(store, wanted, tag, python)
    return tag


def rebuild(store: Store, part: Part, python: str, progress: Progress) -> str:
    """Build it, every step anew, whether it is there or not."""
    wanted = source(part)
    tag = wanted.reference(store.fingerprint(python))
    with locked(f"{part}-{tag[-12:]}", progress):
        progress(f"{part}: building anew")
        _build(store, wanted, tag, python, cached=False)
    return tag


def _build(store: Store, wanted: Source, tag: str, python: str, *, cached: bool = True) -> None:
    network = this_host()
    arguments = {**network.arguments, "BASE": python}
    store.build(wanted.context(network), tag, arguments, network.mode, cached=cached)
