"""What a person asks of `lab roll` and `lab rollback`."""

from dataclasses import dataclass, field

from lab.load_choice import LoadChoice
from lab.model import SchemaMode
from lab.operations.shape import Shape
from lab.proof import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RollRequest:
    """`version` and `image` None: the previous one (`lab rollback`), or what `to` names.

    None elsewhere: the manifest's value.
    """

    version: str | None
    image: str | None = None
    to: str | None = None
    kind: Command = Command.ROLL
    shape: Shape = field(default_factory=Shape)
    choice: LoadChoice = field(default_factory=LoadChoice)
    load: bool = True
    schema: SchemaMode = SchemaMode.AUTO
    anyway: bool = False
    skip_drain: bool = False
