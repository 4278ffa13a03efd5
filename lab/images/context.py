"""Build contexts: made in memory, the same bytes on every machine, known by their digest."""

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

DIGITS = 12  # of a digest in a tag: 48 bits are plenty among a few hundred images
_SKIPPED_SUFFIXES = (".pyc", ".pyo", "~", ".swp")


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of the files that depends on their names and bytes only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def digest(*parts: bytes | str) -> str:
    """Return the first digits of a SHA-256 over the parts, whose borders count."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(b"%d:" % len(data))
        total.update(data)
    return total.hexdigest()[:DIGITS]


def package_files(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """Return the source files below the folder by name; nothing that Python or an editor left behind."""
    found: dict[str, bytes] = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
        if file.is_file() and not hidden and not file.name.endswith(_SKIPPED_SUFFIXES):
            found[prefix + name.as_posix()] = file.read_bytes()
    return found
