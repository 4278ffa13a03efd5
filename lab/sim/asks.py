"""What an operator says during a simulation: `pause@10s`, `resume@20s`, `abort@8s`, `rollback@8s`, `scale@15s=5`."""

import re
from collections.abc import Iterable, Mapping

from lab.durations import seconds
from lab.errors import UsageError
from lab.model import Asked, Command

_ASK = re.compile(r"(?P<command>[a-z]+)@(?P<at>[^=]+)(?:=(?P<replicas>[1-9]\d*))?")


def asks_of(texts: Iterable[str]) -> Mapping[float, Asked]:
    """By the second at which each is said. UsageError for what is none."""
    found: dict[float, Asked] = {}
    for number, text in enumerate(texts, start=1):
        try:
            at, asked = _read(text.strip(), number)
        except ValueError as error:
            fix = "pause@10s, resume@20s, abort@8s, rollback@8s or scale@15s=5"
            raise UsageError(id="ask", what=f"--ask {text!r}: {error}", fix=fix) from error
        if at in found:
            raise UsageError(id="ask", what=f"--ask {text!r}: another word is said then", fix="one of them later")
        found[at] = asked
    return found


def _read(text: str, number: int) -> tuple[float, Asked]:
    it = _ASK.fullmatch(text)
    if not it or it["command"] not in set(Command):
        raise ValueError("it is none of " + ", ".join(f"{command}@TIME" for command in Command))
    command, replicas = Command(it["command"]), int(it["replicas"]) if it["replicas"] else None
    if (command is Command.SCALE) is not (replicas is not None):
        raise ValueError("scale, and nothing else, says to how many")
    return seconds(it["at"]), Asked(number=number, command=command, replicas=replicas)
