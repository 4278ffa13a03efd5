"""The catalogue as the page that people read, docs/reference/changes.md."""

from collections.abc import Iterator

from lab.compat.catalogue import Cell, Change, catalogue

_SIGNS = {
    Cell.WORKS: "works",
    Cell.FAILS: "**fails**",
    Cell.SILENT: "*silent*",
    Cell.STALLS: "*stalls*",
    Cell.NEVER: "not reached",
}

_HEAD = """\
What `lab compat` and a verdict call an error by is an entry of it.

The cells are those of the change *in one step*, as it is first written. *Old on new*: the old version on the new
schema; *new on old* the reverse; *new to old*: the old version reads or updates what the new one wrote, *old to new*
the reverse, on one schema. *silent*: a wrong answer without an error. *stalls*: right, but everybody waits. Of the
changes from 21 on, which no schema sees, read "old client, new server" for *old on new*, and the reverse.
"""


def changes(intro: str) -> str:
    found = catalogue().changes
    rows = [_row(change) for change in found]
    head = [
        "",
        "| | change | old on new | new on old | new to old | old to new | seen as |",
        "|---|---|---|---|---|---|---|",
    ]
    parts = [line for change in found for line in _section(change)]
    return "\n".join(["# The catalogue of changes", "", intro, "", _HEAD.rstrip(), *head, *rows, *parts, ""])


def _row(change: Change) -> str:
    cells = change.cells
    signs = [_SIGNS[c] for c in (cells.old_on_new, cells.new_on_old, cells.new_to_old, cells.old_to_new)]
    link = f"[{change.title}](#{change.number}-{_anchor(change.title)})"
    return f"| {change.number} | {link} | {' | '.join(signs)} | {_seen(change)} |"


def _seen(change: Change) -> str:
    answers = [str(status) for status in sorted(change.statuses)]
    return ", ".join([*change.sqlstates, *sorted(change.symptoms), *answers]) or "no sign of its own"


def _section(change: Change) -> Iterator[str]:
    yield ""
    yield f"## {change.number} {change.title}"
    yield ""
    yield f"`{change.id}`. {change.client}"
    yield ""
    yield f"Locks: {change.locks}."
    if change.sqlstates:
        yield ""
        yield from (f"* `{code}`: {meaning}" for code, meaning in change.sqlstates.items())
    yield ""
    yield f"Fix: {change.fix}."
    yield ""
    yield "Safe:"
    yield ""
    yield from (f"{number}. {step}." for number, step in enumerate(change.safe, start=1))


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")
