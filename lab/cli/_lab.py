"""Opens the lab that a command speaks of. Imports the adapters only when a command really runs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.assembly import Lab


def open_lab(project: str) -> "Lab":
    from lab.assembly import Lab
    from lab.project import checkout, project_at

    return Lab(project=project_at(checkout(), project))
