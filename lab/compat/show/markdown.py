"""PURE: the matrix for a pull request."""

from collections.abc import Iterator

from lab.compat.model import Failure, Matrix, Result, State
from lab.compat.show.text import MARKS, SHOWN, allowed, kinds, mark, sentence


def render(matrix: Matrix) -> str:
    return "\n".join(_lines(matrix)) + "\n"


def _lines(matrix: Matrix) -> Iterator[str]:
    yield f"### {_plain(sentence(matrix))}"
    yield ""
    yield f"Change `{matrix.change}`, levels {matrix.levels[0]}-{matrix.levels[-1]}."
    yield ""
    yield f"| | {' | '.join(matrix.phases)} |"
    yield f"|---|{'---|' * len(matrix.phases)}"
    for version in matrix.versions:
        cells = [_plain(mark(matrix.cell(version, phase))) for phase in matrix.phases]
        yield f"| **{version}** | {' | '.join(cells)} |"
    yield ""
    others = (*matrix.pairs, *matrix.edges)
    if others:
        yield "| pair or step | |"
        yield "|---|---|"
        yield from (f"| {result.name} | {_plain(mark(result))} |" for result in others)
        yield ""
    yield from _path(matrix)
    yield from (f"- {_plain(told)}" for told in (*allowed(matrix), *matrix.notes))
    broken = [result for result in matrix.results() if result.state is State.BROKEN]
    if broken or any(api.state is State.BROKEN for api in matrix.api):
        yield ""
        yield "#### What to do"
        yield ""
    yield from (line for result in broken for line in _result(result))
    for api in matrix.api:
        if api.state is State.BROKEN:
            yield f"- {MARKS[api.state]} {api.client}'s clients at {api.server}'s servers"
            yield from (f"  - `{change.where}`: {_plain(change.what)}" for change in api.broken)


def _path(matrix: Matrix) -> Iterator[str]:
    if matrix.path.gap:
        yield f"- {MARKS[State.BROKEN]} {matrix.path.gap}"
    elif matrix.path.no_return:
        yield f"- point of no return: {matrix.path.no_return}"


def _result(result: Result) -> Iterator[str]:
    yield f"- {MARKS[result.state]} **{result.name}**"
    shown = kinds(result.failures)[:SHOWN]
    yield from (f"  - {_failure(failure)}" for failure in shown)
    if len(shown) < len(result.failures):
        yield f"  - and {len(result.failures) - len(shown)} more"


def _failure(failure: Failure) -> str:
    code = f" `{failure.sqlstate}` {_plain(failure.message)}" if failure.sqlstate else ""
    place = f" ({failure.file}:{failure.line})" if failure.file else ""
    return f"{failure.symptom} {_plain(failure.what)}{code}{place}: {_plain(failure.fix)}"


def _plain(text: str) -> str:
    """On one line, and nothing in it is a mark of the format."""
    escaped = " ".join(text.split())
    for letter in "\\`|<>*_[]":
        escaped = escaped.replace(letter, f"\\{letter}")
    return escaped
