"""Opens the lab that a command speaks of. Imports the adapters only when a command really runs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.assembly import Lab
    from lab.chosen import Chosen


def open_lab(project: str, asked: "Chosen | None" = None) -> "Lab":
    from lab.assembly import Lab
    from lab.cli import _output
    from lab.project import checkout, project_at

    _output.speak_of(project)
    return Lab(project=project_at(checkout(), project), asked=asked)
