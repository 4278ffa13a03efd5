"""`lab compose`: a person's own words to Compose, with the files, the project and the environment of the lab."""

from collections.abc import Sequence
from pathlib import Path

from lab import images
from lab.assembly import Lab
from lab.compose import Compose
from lab.images.store import Store


def by_hand(lab: Lab, words: Sequence[str]) -> int:
    """Compose's exit code. It sees the revision that the fleet runs, so that `up -d` finds all as it should be."""
    lab.refuse_another_checkout()
    with Store.open() as store:
        compose = lab.compose(images.find_all(store))
    return compose.pass_on(words, _current(lab, compose))


def _current(lab: Lab, compose: Compose) -> Path | None:
    """The file that turns the manifest into what runs; None where nothing does."""
    history = lab.history()
    revision = history.revisions.get(history.current or 0)
    if revision is None:
        return None
    if revision.version in lab.manifest.versions:
        version = lab.manifest.version(revision.version)
        return compose.write_override(lab.manifest.service, version, replicas=history.replicas)
    kept = compose.folder / f"{revision.version}.yaml"
    return kept if kept.exists() else None
