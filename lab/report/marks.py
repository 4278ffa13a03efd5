"""The marks in front of a line, for terminals that show them and for those that do not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    good: str
    bad: str
    unknown: str
    stopped: str


UNICODE = Marks(good="✔", bad="✖", unknown="?", stopped="!")
ASCII = Marks(good="ok", bad="x", unknown="?", stopped="!")
