"""The `lab` command on the PATH: a small script that finds the clone it is called in."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab.errors import LabError

MARKER = "# rolling-lab shim"


class Found(StrEnum):
    """What stands under the name `lab` in a folder."""

    NOTHING = "nothing"
    OURS = "ours"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Where the shim goes. `foreign` is a command of that name which is not ours to replace or to hide."""

    folder: Path | None = None
    foreign: Path | None = None


def path_folders(environ: Mapping[str, str]) -> list[Path]:
    """Return the absolute folders of the PATH, each once, in its order."""
    folders = [Path(entry) for entry in environ.get("PATH", "").split(os.pathsep)]
    return list(dict.fromkeys(folder for folder in folders if folder.is_absolute()))


def choose(
    folders: Sequence[Path],
    home: Path,
    *,
    root: bool,
    writable: Callable[[Path], bool],
    found: Callable[[Path], Found],
) -> Choice:
    """Return where the shim goes: where one of ours is already, else the first suitable folder."""
    for folder in folders:
        match found(folder):
            case Found.OURS if writable(folder):
                return Choice(folder=folder)
            case Found.FOREIGN:
                return Choice(foreign=folder / "lab")
            case _:
                continue
    preferred = [home / ".local/bin"] + ([Path("/usr/local/bin")] if root else [])
    preferred += [folder for folder in folders if folder.is_relative_to(home) and _lasting(folder)]
    fit = (folder for folder in preferred if folder in folders and writable(folder))
    return Choice(folder=next(fit, None))


def script(clone: Path) -> str:
    """Return the shim: the lab of the clone it is called in, else of the clone it was made by."""
    return f"""#!/bin/sh
{MARKER}: written and replaced by `make lab-up`; delete this file to be rid of the command
folder=$PWD
while [ -n "$folder" ]; do
    if [ -x "$folder/.venv/bin/lab" ] && [ -f "$folder/lab/bootstrap/__main__.py" ]; then
        exec "$folder/.venv/bin/lab" "$@"
    fi
    folder=${{folder%/*}}
done
home={shlex.quote(str(clone))}
if [ -x "$home/.venv/bin/lab" ]; then exec "$home/.venv/bin/lab" "$@"; fi
echo "error: there is no set-up clone of the lab here, and the one this command was made by is gone" >&2
echo "  where: $home" >&2
echo "  fix: run make lab-up in a clone" >&2
exit 3
"""


def ensure(clone: Path, environ: Mapping[str, str], home: Path, *, root: bool) -> tuple[bool, str]:
    """Put the shim on the PATH; return whether anything changed, and a line to show."""
    own = clone / ".venv/bin"
    folders = [folder for folder in path_folders(environ) if folder != own]
    choice = choose(folders, home, root=root, writable=_writable, found=look)
    if choice.foreign:
        raise LabError(
            id="shim-foreign",
            what="another command named `lab` is on the PATH",
            where=str(choice.foreign),
            fix=f"rename or remove it, or set LAB_NO_SHIM=1 and call {own / 'lab'}",
        )
    if choice.folder:
        changed = _write(choice.folder, clone)
        return changed, str(choice.folder / "lab")
    folder = home / ".local/bin"
    advice = f'no folder of the PATH can be written: add  export PATH="{folder}:$PATH"  to your shell profile'
    if look(folder) is Found.FOREIGN:
        return False, f"{advice}, after {own}: {folder / 'lab'} is not ours"
    return _write(folder, clone), advice


def look(folder: Path) -> Found:
    file = folder / "lab"
    if not file.exists() and not file.is_symlink():
        return Found.NOTHING
    try:
        ours = MARKER in file.read_text(encoding="utf-8", errors="replace")[:200]
    except OSError:
        ours = False
    return Found.OURS if ours else Found.FOREIGN


def _lasting(folder: Path) -> bool:
    """A virtual environment's folder or a version manager's is on the PATH today only."""
    return not (folder.parent / "pyvenv.cfg").exists() and folder.name != "shims"


def _writable(folder: Path) -> bool:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _write(folder: Path, clone: Path) -> bool:
    text = script(clone)
    file = folder / "lab"
    if look(folder) is Found.OURS and file.read_text(encoding="utf-8") == text:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".lab.{os.getpid()}"
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o755)
    fresh.replace(file)
    return True
