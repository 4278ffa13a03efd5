"""`lab compose`: a person's own words to Compose, with the files, the project and the environment of the lab."""

from collections.abc import Sequence
from pathlib import Path

from lab.assembly import Lab
from lab.compose import Compose


def by_hand(lab: Lab, words: Sequence[str]) -> int:
    """Compose's exit code. It sees the revision that the fleet runs, so that `up -d` finds all as it should be."""
    lab.refuse_another_checkout()
    runs = lab.history().current is not None
    compose = lab.compose(lab.ensure_images() if runs else None)
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
    return compose.resize(kept, lab.manifest.service, replicas=history.replicas) if kept.exists() else None
