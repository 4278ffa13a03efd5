"""All five images in one file, for machines that reach no network."""

import gzip
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path
from typing import IO

from lab.errors import LabError
from lab.images.ensure import Images, find_all, silent
from lab.images.store import Progress, Store

_GZIP_LEVEL = 1  # the file is a third as big already; a higher level costs minutes and gains a tenth


def save(file: Path, progress: Progress = silent) -> Images:
    """Write the five images of this clone into the file, compressed if its name ends in .gz."""
    with Store.open() as store:
        images = find_all(store)
        if images is None:
            raise LabError(
                id="images-missing",
                what="not all images of this clone are in the engine's store",
                fix="make lab-up (or any `lab up`) makes them; then save again",
            )
        progress(f"saving {len(astuple(images))} images to {file}")
        write(store, astuple(images), file)
    return images


def load(file: Path, progress: Progress = silent) -> Images:
    """Put the images of the file into the engine's store; afterwards this clone needs no network."""
    with Store.open() as store:
        progress(f"loading images from {file}")
        read(store, file)
        images = find_all(store)
    if images is None:
        raise LabError(
            id="images-stale",
            what="the images were loaded, but they are not those of this clone",
            where=str(file),
            fix="use the commit the file was saved from, without local changes, "
            "or run `lab up` where the missing ones can be built",
        )
    return images


def write(store: Store, references: tuple[str, ...], file: Path) -> None:
    """Write the archive beside the file and rename it: a cut save leaves no half file under the name."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        with ExitStack() as stack:
            raw = stack.enter_context(partial.open("wb"))
            out: IO[bytes] | gzip.GzipFile = raw
            if file.name.endswith(".gz"):
                out = stack.enter_context(gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, 0))
            for chunk in store.save(references):
                out.write(chunk)
        partial.replace(file)
    except OSError as error:
        raise LabError(
            id="images-save",
            what=f"cannot write the images: {error.strerror or error}",
            where=str(file),
            fix="choose a folder that exists, is writable and has a gigabyte free",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read(store: Store, file: Path) -> None:
    """Load the archive, compressed or not: the engine sees which."""
    try:
        with file.open("rb") as stream:
            store.load(stream)
    except OSError as error:
        raise LabError(
            id="images-load",
            what=f"cannot read the images: {error.strerror or error}",
            where=str(file),
            fix="lab images load takes a file that `lab images save` wrote",
        ) from error
