"""Pages of docs/ that are made from the code: each is text, and a test holds the committed one to it.

`make docs` writes them anew.
"""

from collections.abc import Callable, Iterable
from types import NoneType
from typing import get_args

from lab.cli._shape import OPTIONS
from lab.model import Command, Ending, Verb
from lab.transitions import ASKS_FOR, REPLICA, ROLLOUT, STANDINGS, Phase, Standing
from tests.changes_page import changes
from tests.cli_page import cli_page
from tests.errors_page import errors_page
from tests.unit.planner_world import WORKED

INTRO = "<!-- made from the code: make docs -->"


def lifecycles() -> str:
    return "\n".join(
        [
            "# Lifecycles",
            "",
            INTRO,
            "",
            "Both are drawn from the tables in `lab/transitions.py`; nothing else changes a state.",
            "",
            "## A replica",
            "",
            "What the engine says of its container and what the proxy says of its place make its standing. An arrow",
            "in plain words is an act of the controller, one in brackets happens by itself. Every act is legal only",
            "where it is drawn; a controller that was to do another would stop.",
            "",
            *_diagram(_replica_arrows()),
            "",
            "*created* is made before its turn: it has no address yet, and costs no budget. *draining* is stopped only",
            "once its deadline is over by five seconds.",
            "",
            "## A rollout",
            "",
            "`paused` and `paused-back` do not end the rollout: it goes on when somebody says so. Paused by a failure",
            "it ends the command that ran it, paused by an operator's word it waits for the next. What is",
            "not drawn at a phase is refused there, and what has ended has ended.",
            "",
            *_diagram(_rollout_arrows()),
            "",
            "| an operator asks for | obeyed in | refused in |",
            "|---|---|---|",
            *map(_command_row, Command),
            "",
        ]
    )


def examples() -> str:
    head = [
        "# The planner's worked examples",
        "",
        INTRO,
        "",
        "What one look at a fleet leads to, in waves. `1.2 new ready` is generation 2 in slot 1, of the version",
        "that is rolled to, and ready. Each row is a test.",
        "",
        "| example | N | surge | unavailable | seen | done |",
        "|---|---|---|---|---|---|",
    ]
    rows = [
        f"| {what} | {n} | {surge} | {unavailable} | {', '.join(seen) or 'nothing'} | {', '.join(done)} |"
        for what, n, surge, unavailable, seen, done in WORKED
    ]
    return "\n".join([*head, *rows, ""])


def options() -> str:
    head = [
        "# What shapes a rollout",
        "",
        INTRO,
        "",
        "`lab roll`, `lab plan` and `lab simulate` take all of these; `lab rollback` all but `--on-fail`, for one that",
        "fails pauses. flag > environment > [manifest](manifest.md) > default.",
    ]
    lines, last = head, ""
    for annotation in OPTIONS.values():
        kind, option = get_args(annotation)
        if option.rich_help_panel != last:
            last = option.rich_help_panel
            lines += ["", f"## {last}", "", "| option | environment | means |", "|---|---|---|"]
        words = option.metavar or "|".join(next(enum for enum in get_args(kind) if enum is not NoneType))
        cells = (f"`{option.default} {words}`", f"`{option.envvar}`", option.help)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/changes.md": lambda: changes(INTRO),
    "docs/reference/cli.md": cli_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/lifecycles.md": lifecycles,
    "docs/reference/planner-examples.md": examples,
    "docs/reference/rollout-options.md": options,
}


def _diagram(arrows: Iterable[tuple[str, str, str]]) -> list[str]:
    names = {
        state: state.replace(", ", "_").replace("-", "_").replace(" ", "_") for a, b, _ in arrows for state in (a, b)
    }
    titles = [f'    state "{state}" as {name}' for state, name in names.items() if state not in {name, "[*]"}]
    names["[*]"] = "[*]"
    lines = [f"    {names[a]} --> {names[b]}: {by}" for a, b, by in arrows]
    return ["```mermaid", "stateDiagram-v2", *titles, *lines, "```"]


def _replica_arrows() -> list[tuple[str, str, str]]:
    def name(standing: Standing) -> str:
        return "[*]" if standing == (None, None) else STANDINGS[standing]

    return [(name(at), name(to), str(by) if isinstance(by, Verb) else f"({by})") for (at, by), to in REPLICA.items()]


def _rollout_arrows() -> list[tuple[str, str, str]]:
    ends = [to for to in dict.fromkeys(ROLLOUT.values()) if isinstance(to, Ending)]
    inside = [(str(at), str(to), str(by)) for (at, by), to in ROLLOUT.items()]
    return [("[*]", str(Phase.ROLLING), "begins"), *inside, *((str(end), "[*]", "has ended") for end in ends)]


def _command_row(command: Command) -> str:
    if command is Command.SCALE:
        obeyed = [phase for phase in Phase if phase is not Phase.SETTLING]
    else:
        obeyed = [phase for phase in Phase if (phase, ASKS_FOR[command]) in ROLLOUT]
    refused = [phase for phase in Phase if phase not in obeyed]
    return f"| `{command}` | {', '.join(obeyed)} | {', '.join(refused) or 'none'} |"
