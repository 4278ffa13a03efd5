"""`lab logs`: the last lines of the lab's containers, and those to come."""

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.assembly import Lab, not_up
from lab.errors import LabError

LOOK_SECONDS = 1.0
"""How soon a replica that is made meanwhile is followed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    text: str


def chosen(lab: Lab, name: str | None) -> Mapping[str, str]:
    """Container ids by name: that one, or all replicas. LabError `no-container` names those that there are."""
    lab.refuse_another_checkout()
    containers = {seen.name: seen.container_id for seen in lab.engine.replicas_now()}
    others = {service: static.container_id for service, static in lab.host.static().items()}
    if load := lab.host.find("load"):
        others["load"] = load
    known = containers | others
    if not known:
        raise not_up(lab.project, "it has no containers")
    if name is not None and name not in known:
        raise LabError(
            id="no-container",
            what=f"there is no container {name!r} in the lab {lab.project.name!r}",
            fix="one of: " + ", ".join(sorted(known)),
        )
    return {name: known[name]} if name else containers


def last_lines(lab: Lab, name: str | None, *, tail: int) -> dict[str, str]:
    """The last so many lines of each, by name."""
    return {
        who: lab.host.logs(cid, tail=tail).decode(errors="replace") for who, cid in sorted(chosen(lab, name).items())
    }


def follow(lab: Lab, name: str | None, *, tail: int) -> Iterator[Line]:
    """The same and all that come, until all of them have ended; replicas that are made meanwhile are followed too."""
    lines: queue.Queue[Line | str] = queue.Queue()
    followed: set[str] = set()
    open_ones = 0
    new, look_at = chosen(lab, name), time.monotonic() + LOOK_SECONDS
    while True:
        for who, cid in sorted(new.items()):
            if cid not in followed:
                threading.Thread(target=_pump, args=(lab, who, cid, tail, lines), daemon=True).start()
                followed.add(cid)
                open_ones += 1
        try:
            line = lines.get(timeout=max(0.0, look_at - time.monotonic()))
        except queue.Empty:
            new, look_at = _known(lab, name), time.monotonic() + LOOK_SECONDS
            continue
        if isinstance(line, Line):
            yield line
            continue
        open_ones -= 1
        if not open_ones and not set(_known(lab, name).values()) - followed:
            return


def _known(lab: Lab, name: str | None) -> Mapping[str, str]:
    try:
        return chosen(lab, name)
    except LabError:
        return {}


def _pump(lab: Lab, who: str, container: str, tail: int, lines: "queue.Queue[Line | str]") -> None:
    try:
        for raw in lab.host.follow(container, stderr=True, tail=tail):
            lines.put(Line(name=who, text=raw.decode(errors="replace").rstrip("\r")))
    except LabError as error:
        lines.put(Line(name=who, text=f"({error.what})"))
    finally:
        lines.put(who)
