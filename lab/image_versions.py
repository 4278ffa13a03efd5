"""PURE: an image as a version: its tag is the name, or its id where a tag would tell nothing."""

import re
from collections.abc import Iterable

from lab.manifest import Version
from lab.model import Revision

_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_UNTOLD = {"", "latest"}
SHORT, SHORTER = 12, 7


def reference_of(text: str) -> str:
    """With the tag that is meant where none is said."""
    if _ID.fullmatch(text) or "@" in text or ":" in text.rpartition("/")[2]:
        return text
    return f"{text}:latest"


def beside(reference: str, tag: str) -> str:
    """The same repository with another tag."""
    repository = reference.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    return f"{repository}:{tag}"


def version_of(text: str, image_id: str, known: Iterable[Revision]) -> Version:
    """A tag that was moved since a revision was made of it is another version: its name gets a part of the id."""
    short = image_id.removeprefix("sha256:")
    tag = "" if _ID.fullmatch(text) or "@" in text else reference_of(text).rpartition(":")[2]
    name = short[:SHORT] if tag in _UNTOLD or not _TAG.fullmatch(tag) else tag
    if any(revision.version == name and revision.image_id != image_id for revision in known):
        name = f"{name[: 62 - SHORTER]}-{short[:SHORTER]}"
    return Version(name=name, serves_as=name, image=text, environment={})
