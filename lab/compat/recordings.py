"""What was seen of a version while it ran: its statements and its OpenAPI document, kept under what it was made from.

Another image, another environment or other checks make another key: what is kept of the old one is not used.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """`phase`: where it ran. `openapi` None: it serves none, or none was asked for."""

    version: str
    phase: str
    statements: tuple[str, ...]
    openapi: Mapping[str, Any] | None


class Recordings:
    """A folder of them; one file a version."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, version: str, key: str) -> Recording | None:
        path = self._folder / f"{version}.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["key"] != key:
                return None
            statements = tuple(map(str, kept["statements"]))
            return Recording(version=version, phase=kept["phase"], statements=statements, openapi=kept["openapi"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # none, or one of another lab: it is made anew

    def keep(self, recording: Recording, key: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        body = {
            "key": key,
            "phase": recording.phase,
            "statements": list(recording.statements),
            "openapi": recording.openapi,
        }
        path = self._folder / f"{recording.version}.json"
        path.with_suffix(".tmp").write_text(json.dumps(body, indent=1), encoding="utf-8")
        path.with_suffix(".tmp").replace(path)


def key_of(*, image_id: str, environ: Mapping[str, str], checks: str, base: str) -> str:
    """`base`: the SQL that makes the first phase."""
    parts = [image_id, sorted(environ.items()), checks, base]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
