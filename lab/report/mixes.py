"""What versions and schema did to each other: by version and phase, and by the pair of who wrote and who read."""

from collections.abc import Iterator, Sequence

from lab.proof.records import Fault
from lab.proof.result import Breakage, Mix, Verdict
from lab.report.blocks import INDENT, labelled
from lab.report.numbers import count, many, seconds
from lab.report.table import table

STATEMENT_WIDTH = 96
PAIR_HEADS = ("written by", "read by", "answers", "wrong")
PAIR_RIGHT = frozenset({"answers", "wrong"})


def breakages_block(breakages: Sequence[Breakage]) -> list[str]:
    lines: list[str] = []
    for version, phase in dict.fromkeys((found.version, found.phase) for found in breakages):
        errors = [found for found in breakages if (found.version, found.phase) == (version, phase)]
        lines.append(f"{INDENT}{_breaks(version, phase)}{_since(errors)}")
        rows = [(error.code, error.message, many(error.count, "request")) for error in errors]
        shown = table(("", "", ""), rows, right=frozenset(), indent=INDENT * 2)[1:]
        for line, error in zip(shown, errors, strict=True):
            lines.append(line)
            lines += [f"{INDENT * 5} {_short(error.statement)}"] if error.statement else []
        lines += [INDENT + line for line in labelled("fix", errors[0].fix)]
    return lines


def mixes_block(verdict: Verdict) -> list[str]:
    """The faults that no statement tells: an error that has one stands among the breakages."""
    lines: list[str] = []
    for mix in _silent(verdict):
        lines.append(f"{INDENT}{mix_line(mix, verdict)}")
        lines.append(f"{INDENT * 2}{_short(mix.detail)}   ({mix.example})")
        lines += [INDENT + line for line in labelled("fix", mix.fix)]
    return lines


def mix_line(mix: Mix, verdict: Verdict) -> str:
    """`STALE: written by v2, read by v1 on phase both: 41 of 96 answers, from 6.2s to 14.0s`."""
    read = next((p.read for p in verdict.pairs if (p.writer, p.reader) == (mix.writer, mix.reader)), None)
    of = f" of {many(read, 'answer')}" if read else ""
    when = f"from {seconds(mix.since_s)} to {seconds(mix.until_s)}" if mix.count > 1 else f"at {seconds(mix.since_s)}"
    broken = ", which the plan promises" if mix.promised else ""
    writer = mix.writer or "an unknown version"
    told = f"written by {writer}, read by {mix.reader} on phase {mix.phase}{broken}"
    return f"{mix.fault.upper()}: {told}: {count(mix.count)}{of}, {when}"


def breakage_line(found: Breakage) -> str:
    since = f", since {seconds(found.since_s)}" if found.since_s is not None else ""
    statement = f"; {_short(found.statement)}" if found.statement else ""
    told = f"{found.version} does not work with schema phase {found.phase}{since}: {found.code} {found.message}"
    return f"{told} ({many(found.count, 'request')}){statement}"


def mix_rows(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """(what, what to do) of each breakage and each silent fault: for the formats that have a table or a list."""
    yield from ((breakage_line(found), found.fix) for found in verdict.schema_breakages)
    yield from ((f"{mix_line(mix, verdict)}: {_short(mix.detail)}", mix.fix) for mix in _silent(verdict))


def pair_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    return [(pair.writer, pair.reader, count(pair.read), count(pair.wrong)) for pair in verdict.pairs]


def pairs_block(verdict: Verdict) -> list[str]:
    rows = pair_rows(verdict)
    return table(PAIR_HEADS, rows, right=PAIR_RIGHT, indent=INDENT) if rows else []


def _silent(verdict: Verdict) -> list[Mix]:
    told = {found.code for found in verdict.schema_breakages}
    return [mix for mix in verdict.mixes if mix.fault is not Fault.ERROR or mix.code not in told]


def _breaks(version: str, phase: str) -> str:
    return f"schema breakage: {version} does not work with phase {phase}"


def _since(errors: Sequence[Breakage]) -> str:
    since = [error.since_s for error in errors if error.since_s is not None]
    until = [error.until_s for error in errors if error.until_s is not None]
    promised = ", which the plan promises" if any(error.promised for error in errors) else ""
    return f"{promised}, from {seconds(min(since))} to {seconds(max(until))}" if since and until else promised


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= STATEMENT_WIDTH else line[: STATEMENT_WIDTH - 3] + "..."
