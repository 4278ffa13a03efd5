"""The live view of a rollout: the fleet's table, what is measured and the last lines, repainted where they stand.

It is `lab status` once more: the same view-model, read anew by a thread of its own, and drawn on stderr.
"""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.cli import _output
from lab.cli._manner import Progress, is_live, manner, written
from lab.errors import LabError
from lab.ports import Event
from lab.view import live_frame, progress_line

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from lab.assembly import Lab
    from lab.view import FleetView

REPAINT_SECONDS = 0.4
"""Two to three a second: five are the most that anybody reads, and each asks the engine and the proxy."""
LINES = 8


@contextmanager
def following(lab: "Lab", *, quiet: bool, at_once: bool = True) -> Iterator[Callable[[Event], None]]:
    """What listens to a rollout: lines as they come, or the live view on a terminal.

    `at_once` False: nothing is painted until there is something to hear; a word to another command has nothing.
    """
    if not is_live(quiet=quiet):
        yield _output.events(quiet=quiet)
        return
    painter = _Painter(lab)
    with painter.painting(at_once=at_once):
        yield painter.listen


def watch_fleet(lab: "Lab") -> None:
    """`lab status --watch`: the same table until Ctrl-C; off a terminal, whenever it says something else."""
    from lab.view import fleet_table

    if not is_live(quiet=False, stream=sys.stdout):
        before: list[str] = []
        while True:
            view = _seen(lab)
            lines = fleet_table(view) if view else live_frame(None, (), seconds=0.0)[:1]
            if lines != before:
                _output.line("\n".join(lines))
                before = lines
            time.sleep(REPAINT_SECONDS)
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        while True:
            view = _seen(lab)
            live.update(painted(fleet_table(view) if view else live_frame(None, (), seconds=0.0)[:1]), refresh=True)
            time.sleep(REPAINT_SECONDS)


class _Painter:
    def __init__(self, lab: "Lab") -> None:
        self._project = lab.project
        self._lines: deque[str] = deque(maxlen=LINES)
        self._began_ns: int | None = None
        self._over = threading.Event()
        self._painted = ExitStack()
        self._begun = False

    def listen(self, event: Event) -> None:
        self._begin()
        self._began_ns = event.t_ns if self._began_ns is None else self._began_ns
        if line := progress_line(event, self._began_ns):
            self._lines.append(line)

    @contextmanager
    def painting(self, *, at_once: bool) -> Iterator[None]:
        with self._painted:
            if at_once:
                self._begin()
            yield

    def _begin(self) -> None:
        if self._begun:
            return
        self._begun = True
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True, force_terminal=True if manner().progress is Progress.LIVE else None)
        live = self._painted.enter_context(Live(console=console, auto_refresh=False))
        self._painted.enter_context(_output.said_to(self._lines.append))
        thread = threading.Thread(target=self._paint, args=(live,), name="live-view", daemon=True)
        thread.start()
        self._painted.callback(thread.join)
        self._painted.callback(self._over.set)

    def _paint(self, live: "Live") -> None:
        from lab.assembly import Lab

        lab, began, over = Lab(project=self._project), time.monotonic(), False
        while not over:
            over = self._over.wait(REPAINT_SECONDS)
            view = _without_self(_seen(lab))
            frame = live_frame(view, list(self._lines), seconds=time.monotonic() - began)
            live.update(painted(frame), refresh=True)


def painted(frame: Sequence[str]) -> "Text":
    """The lines in the versions' colours, where colours are wanted: NO_COLOR is heard by who prints it."""
    from rich.text import Text

    text = Text(written("\n".join(frame), sys.stderr, ascii=manner().ascii))
    for pattern, style in _STYLES:
        text.highlight_regex(pattern, style)
    return text


_STYLES = ((r"\bv1\b", "#0072B2"), (r"\bv2[\w.-]*", "#E69F00"), (r"✖ \w+", "bold"), (r"\b[1-9]\d* dropped", "bold"))
"""Blue and orange: told apart by those who do not see red from green (Okabe and Ito)."""


def _without_self(view: "FleetView | None") -> "FleetView | None":
    """Whoever looks at a command's own view knows that it is at work."""
    if view is None:
        return None
    own = f"(pid {os.getpid()})"
    return replace(view, notes=tuple(n for n in view.notes if not (n.startswith("being changed by ") and own in n)))


def _seen(lab: "Lab") -> "FleetView | None":
    from lab.operations.status import fleet_view

    with suppress(LabError):  # it is told when it is there again
        return asyncio.run(fleet_view(lab))
    return None
