"""A dropped request told: in a sentence, and in the lines that a person needs to find its cause."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.proof.result import CODES, AppSaw, Class, Drop, Tried
from lab.report.numbers import count, seconds

SAW = {
    AppSaw.NOT_BEGUN: "no replica had begun it",
    AppSaw.UNANSWERED: "a replica had begun it and never answered",
    AppSaw.ANSWERED: "the replica says that it answered",
    AppSaw.NO_LOG: "what the replica saw is not known: there is no log of it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The drops of one class, and the first of them in full."""

    cls: Class
    code: str
    count: int
    first: Drop


def stories_of(drops: Sequence[Drop]) -> tuple[Story, ...]:
    """The most frequent first."""
    by_class: dict[Class, list[Drop]] = {}
    for drop in drops:
        by_class.setdefault(drop.cls, []).append(drop)
    return tuple(
        Story(cls=cls, code=CODES[cls], count=len(found), first=found[0])
        for cls, found in sorted(by_class.items(), key=lambda item: -len(item[1]))
    )


def stories_block(drops: Sequence[Drop]) -> list[str]:
    """Of each class the first that happened."""
    lines: list[str] = []
    for story in stories_of(drops):
        first, of = story.first, "" if story.count == 1 else f" of {count(story.count)}"
        lines.append(f"  {'the' if story.count == 1 else 'first'} {story.code} {story.cls}{of}: {_request(first)}")
        lines += [f"    {line}" for line in story_lines(first)]
    return lines


def story_lines(drop: Drop) -> Iterator[str]:
    """When, by whom it was tried, what the app saw, and what the controller was doing then."""
    yield from _times(drop)
    yield from map(_attempt, drop.attempts)
    if drop.detail:
        yield " ".join(drop.detail.split())
    yield f"app: {SAW[drop.app_saw]}" + (f"; {drop.executions} executions" if (drop.executions or 0) > 1 else "")
    yield _controller(drop)


def in_full(drop: Drop) -> str:
    """The same in one paragraph."""
    return " ".join([sentence(drop), *(f"{line[0].upper()}{line[1:]}." for line in _evidence(drop))])


def sentence(drop: Drop) -> str:
    at = f"{seconds(drop.when_s)} into the roll" if drop.when_s >= 0 else f"{seconds(-drop.when_s)} before the roll"
    at += " (it was over)" if drop.step == "after the roll" else ""
    who = f" on {drop.replica}" + (f" ({drop.version})" if drop.version else "") if drop.replica else ""
    step = drop.step or ""
    when = step if step.startswith("after schema") else "" if step.endswith(" the roll") else f"during {step}"
    during = f", {when}" if step and when else ""
    detail = f": {drop.detail}" if drop.detail else ""
    return f"{drop.method} {drop.path} ({drop.id}) failed {at}{who}{during}{detail}. {SAW[drop.app_saw].capitalize()}."


def _evidence(drop: Drop) -> Iterator[str]:
    yield from _times(drop)
    yield from map(_attempt, drop.attempts)
    yield _controller(drop)


def _times(drop: Drop) -> Iterator[str]:
    if drop.due_s is not None and drop.sent_s is not None:
        late = round((drop.sent_s - drop.due_s) * 1000)
        yield f"due {_at(drop.due_s)}, sent {'at once' if late < 1 else f'{late} ms later'}, failed {_at(drop.when_s)}"


def _controller(drop: Drop) -> str:
    return f"controller: {', '.join(drop.doing) or f'nothing under way{_then(drop)}'}"


def _request(drop: Drop) -> str:
    return f"{drop.method} {drop.path} ({drop.id})"


def _attempt(tried: Tried) -> str:
    which = [part for part in (tried.version, _generation(tried)) if part]
    told = f" ({', '.join(which)})" if which else ""
    return (
        f"attempt {tried.number} {_at(tried.begun_s)}: {tried.replica}{told}, {tried.result or 'its end is not known'}"
    )


def _generation(tried: Tried) -> str:
    return "" if tried.generation is None else f"generation {tried.generation}"


def _then(drop: Drop) -> str:
    return f", {drop.step}" if drop.step and drop.step.startswith(("after", "before")) else ""


def _at(value: float) -> str:
    """To the millisecond: it is to be found in ledgers."""
    return f"at {value:.3f}s"
