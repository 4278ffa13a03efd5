"""What a soak has passed, kept in `.lab/soak-NAME.jsonl`: it goes on where it was, while what it tries is the same.

A row counts for the trees of the code that is tried, not for the commit: a change of tests or pages throws no hour of
machine time away. Whoever makes a soak stricter begins anew: `rm .lab/soak-NAME.jsonl`.
"""

import hashlib
import json
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TRIED = ("lab", "proxy", "sample_app", "loadtest", "compose")


class Kept:
    """The rows of one soak, each a JSON object of its own words."""

    def __init__(self, soak: str, root: Path = ROOT) -> None:
        self._root = root
        self._path = root / ".lab" / f"soak-{soak}.jsonl"

    @cached_property
    def trees(self) -> str:
        """Of what is committed: twelve digits, the same as long as no file of the code that is tried changes."""
        return hashlib.sha256(self._git(*(f"HEAD:{folder}" for folder in TRIED)).encode()).hexdigest()[:12]

    @property
    def at(self) -> str:
        """For the soak's last line: the commit that runs, and what its rows count for."""
        return f"{self._git('HEAD')[:8]} (trees {self.trees})"

    def rows(self, **wanted: Any) -> list[dict[str, Any]]:
        """What was kept for these trees, with these words."""
        if not self._path.exists():
            return []
        rows = [json.loads(line) for line in self._path.read_text().splitlines()]
        wanted = {"trees": self.trees, **wanted}
        return [row for row in rows if wanted.items() <= row.items()]

    def add(self, **row: Any) -> None:
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"trees": self.trees, **row}) + "\n")

    def _git(self, *what: str) -> str:
        argv = ["git", "rev-parse", *what]
        return subprocess.run(argv, cwd=self._root, capture_output=True, text=True, check=True).stdout.strip()
