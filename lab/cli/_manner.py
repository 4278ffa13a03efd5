"""How every command speaks: `--progress`, `--quiet`, `--ascii`. Each gets these options when it is made."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, TextIO

import typer

SPEECH = "How it speaks"


class Progress(StrEnum):
    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    QUIET = "quiet"


ProgressOption = Annotated[
    Progress,
    typer.Option(
        "--progress",
        envvar="LAB_PROGRESS",
        help="On stderr: live repaints a table, plain adds lines; auto is live on a terminal.",
        show_envvar=False,
        rich_help_panel=SPEECH,
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=SPEECH)]
AsciiOption = Annotated[
    bool,
    typer.Option(
        "--ascii",
        envvar="LAB_ASCII",
        help="No sign beyond ASCII; so anyway where the encoding has none.",
        show_envvar=False,
        rich_help_panel=SPEECH,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    progress: Progress = Progress.AUTO
    ascii: bool = False

    @property
    def quiet(self) -> bool:
        return self.progress is Progress.QUIET

    def live(self, stream: TextIO, environ: Mapping[str, str]) -> bool:
        """Whether a table is repainted there. Never where nobody could see it move."""
        if self.progress is not Progress.AUTO:
            return self.progress is Progress.LIVE
        return stream.isatty() and environ.get("TERM", "") not in {"", "dumb"} and not environ.get("CI")


_manner = Manner()


def manner() -> Manner:
    return _manner


def speaking(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the options of this page in front; what it does with a `quiet` of its own stays its own."""
    signature = inspect.signature(command, eval_str=True)
    own = set(signature.parameters)
    kind = inspect.Parameter.KEYWORD_ONLY
    options = {"progress": (ProgressOption, Progress.AUTO), "ascii": (AsciiOption, False)}
    options |= {} if "quiet" in own else {"quiet": (QuietOption, False)}
    added = [inspect.Parameter(n, kind, default=d, annotation=a) for n, (a, d) in options.items() if n not in own]

    @wraps(command)
    def with_manner(**given: Any) -> Any:
        global _manner  # noqa: PLW0603  one process is one command
        quiet = given.get("quiet", False) or given["progress"] is Progress.QUIET
        _manner = Manner(progress=Progress.QUIET if quiet else given["progress"], ascii=given["ascii"])
        if "quiet" in own:
            given["quiet"] = quiet
        return command(**{name: value for name, value in given.items() if name in own})

    parameters = [p.replace(kind=kind) for p in signature.parameters.values()] + added
    with_manner.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_manner.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_manner


class SpeakingTyper(typer.Typer):
    """Every command of it is a speaking one."""

    def command(self, *words: Any, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # type: ignore[override]
        register = super().command(*words, **more)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(speaking(function))
            return function

        return decorate


_PLAIN = {
    "✔": "ok",
    "✖": "x",
    "✘": "x",
    "“": '"',
    "”": '"',
    "„": '"',
    "◌": "..",
    "◐": "<-",
    "‖": "||",
    "█": "#",
    "░": ".",
    "→": "->",
    "\u2013": "-",
    "…": "...",
    "\u00d7": "x",
    "≤": "<=",
    "≥": ">=",
}


def written(text: str, stream: TextIO, *, ascii: bool) -> str:
    """As that stream can write it: signs become words where its encoding has none of them."""
    encoding = "ascii" if ascii else (getattr(stream, "encoding", None) or "utf-8")
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        plain = "".join(_PLAIN.get(sign, sign) for sign in text)
        return plain.encode(encoding, errors="replace").decode(encoding)
    return text


def to(stream: TextIO, text: str) -> None:
    stream.write(written(text, stream, ascii=_manner.ascii))
    stream.flush()


def is_live(*, quiet: bool, stream: TextIO | None = None) -> bool:
    return not quiet and _manner.live(stream or sys.stderr, os.environ)
