"""The blocks under the headline. Each is empty where it has nothing to say."""

from collections.abc import Iterable

from lab.proof.records import Failure
from lab.proof.result import AppSaw, Blast, Class, Drop, Loss, MadeBy, Verdict, VerdictOutcome
from lab.report.numbers import count, many, seconds
from lab.report.table import table

DETAIL_WIDTH = 52
MOST_GROUPS = 12
INDENT = "  "

# what the kernel's exit codes mean; `signal` knows only the names of the machine it runs on
SIGNALS = {134: "SIGABRT", 135: "SIGBUS", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}

HEADS = ("class", "count", "when", "replica", "step", "app saw", "detail")

Group = tuple[Class, MadeBy | None, str | None, str | None, AppSaw, str | None]


def failure_block(failure: Failure | None) -> list[str]:
    if failure is None:
        return []
    log = "\n".join(failure.log)
    return [
        line
        for label, text in (
            ("what", failure.what),
            ("where", failure.where),
            ("log", log),
            ("fix", failure.fix),
            ("more", failure.more),
        )
        for line in labelled(label, text)
    ]


def blast_block(blast: Blast | None) -> list[str]:
    """One line: what the version that was not kept had to do with the users' requests."""
    if blast is None:
        return []
    if not (blast.replicas or blast.answered or blast.unanswered):
        return labelled("blast", f"{blast.version} was given no request")
    where = f"{seconds(blast.seconds)} on {many(blast.replicas, 'replica')}"
    if blast.answered is None or blast.unanswered is None or blast.errors is None or blast.share is None:
        return labelled("blast", f"{blast.version} was in rotation for {where}; what it answered was not measured")
    told = (
        f"{blast.version} answered {many(blast.answered, 'request')} in {where}, {count(blast.errors)} of them errors"
    )
    left = f"; {count(blast.unanswered)} more got no answer from it" if blast.unanswered else ""
    return labelled("blast", f"{told}{left} ({blast.share:.1%} of all requests)")


def labelled(label: str, text: str) -> list[str]:
    """The label once, what belongs to it in one column."""
    lines = text.splitlines()
    return [f"{INDENT}{label if at == 0 else '':<6} {line}".rstrip() for at, line in enumerate(lines)]


def drops_block(drops: tuple[Drop, ...]) -> list[str]:
    """Grouped, first come first; a group's detail is that of its first drop."""
    if not drops:
        return []
    groups: dict[Group, list[Drop]] = {}
    for drop in drops:
        key = (drop.cls, drop.made_by, drop.replica, drop.step, drop.app_saw, drop.reason)
        groups.setdefault(key, []).append(drop)
    shown = list(groups.values())[:MOST_GROUPS]
    lines = table(HEADS, [_row(group) for group in shown], right=frozenset({"count"}), indent=INDENT)
    if rest := len(drops) - sum(len(group) for group in shown):
        lines.append(f"{INDENT}and {count(rest)} more in {many(len(groups) - len(shown), 'group')}: lab report --json")
    return lines


def deaths_block(deaths: Iterable[Loss]) -> list[str]:
    return [line for death in deaths if not death.expected for line in _death(death)]


def doubts_block(verdict: Verdict) -> list[str]:
    also = "also" if verdict.outcome is VerdictOutcome.FAIL else "why"
    lines: list[str] = []
    for reason in verdict.reasons:
        lines += labelled(also, reason.message)
        lines += labelled("do", reason.fix)
    return lines


def notes_block(verdict: Verdict) -> list[str]:
    lines = [line for note in verdict.notes for line in labelled("note", note)]
    if verdict.begun_unanswered:
        lines += labelled("note", f"the app began {many(verdict.begun_unanswered, 'request')} it never answered")
    return lines


def _row(group: list[Drop]) -> tuple[str, ...]:
    first, last = group[0], group[-1]
    name = first.cls.value if first.made_by is None else f"{first.cls.value} ({first.made_by})"
    when = seconds(first.when_s)
    if seconds(last.when_s) != when:
        when = f"{when}..{seconds(last.when_s)}"
    return (
        name,
        count(len(group)),
        when,
        first.replica or "-",
        first.step or "-",
        first.app_saw.value,
        _short(first.detail or f"{first.method} {first.path}"),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= DETAIL_WIDTH else line[: DETAIL_WIDTH - 3] + "..."


def _death(death: Loss) -> list[str]:
    version = f" ({death.version})" if death.version else ""
    dropped = [f"{count(number)} {cls}" for cls, number in death.dropped_by_class.items()]
    return [
        f"{INDENT}container {death.replica}{version} died at {seconds(death.when_s)}: {exit_words(death)}",
        f"{INDENT * 2}dropped on it: {', '.join(dropped) or 'nothing'}",
    ]


def exit_words(death: Loss) -> str:
    if death.exit_code is None:
        return "its exit code is not known"
    signal = SIGNALS.get(death.exit_code)
    told = f"exit code {death.exit_code}" + (f" ({signal})" if signal else "")
    return f"{told}, out of memory" if death.oom else told
