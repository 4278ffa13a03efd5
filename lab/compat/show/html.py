"""PURE: the matrix as one file that needs nothing else. A cell that failed leads to what is known of it."""

from collections.abc import Iterator
from html import escape

from lab.compat.model import Failure, Matrix, Result, State
from lab.compat.show.text import MARKS, allowed, mark, sentence
from lab.report.html import HEAD, POLICY
from lab.report.style import CSS

_TONES = {State.KEPT: "good", State.BROKEN: "bad", State.UNPROMISED: "muted", State.UNKNOWN: "open"}


def render(matrix: Matrix) -> str:
    title = f"{matrix.change}: {sentence(matrix).partition(':')[0].lower()}"
    parts = [
        HEAD.format(policy=POLICY, title=escape(title), css=CSS),
        *_verdict(matrix),
        *_grid(matrix),
        *_several("Pairs: writer, then reader", matrix.pairs),
        *_several("Steps, under traffic", matrix.edges),
        *_apis(matrix),
        *_way(matrix),
        *_failures(matrix),
        *_lint(matrix),
        f"<footer>lab compat, levels {matrix.levels[0]} to {matrix.levels[-1]}</footer></main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _verdict(matrix: Matrix) -> Iterator[str]:
    tone = "bad" if matrix.broken else "open" if matrix.undecided else "good"
    sign = MARKS[{"bad": State.BROKEN, "open": State.UNKNOWN, "good": State.KEPT}[tone]]
    yield f'<header class="card verdict {tone}"><div class="mark" aria-hidden="true">{sign}</div><div>'
    claim, _, rest = sentence(matrix).partition(": ")
    yield f"<h1>{escape(claim.capitalize())}</h1>"
    yield f'<p class="went">{escape(rest)}</p><p class="when">change {escape(matrix.change)}</p></div></header>'


def _grid(matrix: Matrix) -> Iterator[str]:
    yield '<section class="card"><h2>Which version on which phase</h2><div class="wide"><table><thead><tr><th></th>'
    yield "".join(f'<th scope="col">{escape(phase)}</th>' for phase in matrix.phases) + "</tr></thead><tbody>"
    for version in matrix.versions:
        cells = "".join(f"<td>{_cell(matrix.cell(version, phase))}</td>" for phase in matrix.phases)
        yield f'<tr><th scope="row">{escape(version)}</th>{cells}</tr>'
    yield "</tbody></table></div></section>"


def _several(title: str, results: tuple[Result, ...]) -> Iterator[str]:
    if not results:
        return
    yield f'<section class="card"><h2>{escape(title)}</h2><div class="wide"><table><tbody>'
    for result in results:
        p99 = "" if result.p99_ms is None else f"p99 {result.p99_ms:.0f} ms"
        yield f'<tr><th scope="row">{escape(result.name)}</th><td>{_cell(result)}</td><td>{p99}</td></tr>'
    yield "</tbody></table></div></section>"


def _cell(result: Result) -> str:
    told = f'<span class="{_TONES[result.state]}">{escape(mark(result))}</span>'
    return f'<a href="#{_anchor(result)}">{told}</a>' if result.failures else told


def _anchor(result: Result) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in result.name)


def _apis(matrix: Matrix) -> Iterator[str]:
    known = [api for api in matrix.api if api.known]
    if not known:
        return
    yield '<section class="card"><h2>Whose clients bear whose servers</h2>'
    for api in known:
        who = escape(f"{api.client}'s clients at {api.server}'s servers")
        yield f'<p><span class="{_TONES[api.state]}">{MARKS[api.state]}</span> {who}</p>'
        if api.broken:
            items = (f"<li>{escape(change.where)}: {escape(change.what)}</li>" for change in api.broken)
            yield f'<ul class="plain">{"".join(items)}</ul>'
    yield "</section>"


def _way(matrix: Matrix) -> Iterator[str]:
    path = matrix.path
    yield '<section class="card"><h2>The way</h2>'
    if path.gap:
        yield f'<p class="bad">{escape(path.gap)}</p>'
    else:
        yield '<div class="wide"><table><thead><tr><th>phase</th><th>live</th><th>back to</th></tr></thead><tbody>'
        for stop in path.stops:
            sign = "" if stop.right else f' <span class="bad">{MARKS[State.BROKEN]}</span>'
            live = escape(" and ".join(stop.live)) + sign
            yield f"<tr><td>{escape(stop.phase)}</td><td>{live}</td><td>{escape(stop.back or 'nowhere')}</td></tr>"
        yield "</tbody></table></div>"
        yield f"<p>Point of no return: {escape(path.no_return or 'none')}</p>"
    yield from (f'<p class="muted">{escape(told)}</p>' for told in (*allowed(matrix), *matrix.notes))
    yield "</section>"


def _failures(matrix: Matrix) -> Iterator[str]:
    for result in matrix.results():
        if result.failures:
            head = f"{MARKS[result.state]} {result.name}"
            yield f'<section class="card" id="{_anchor(result)}"><h2>{escape(head)}</h2>'
            yield from (_failure(failure) for failure in result.failures)
            yield "</section>"


def _failure(failure: Failure) -> str:
    told = (
        ("request", failure.request),
        ("response", failure.response),
        ("SQLSTATE", f"{failure.sqlstate} {failure.message}".strip()),
        ("SQL", failure.sql),
        ("where", f"{failure.file}:{failure.line}" if failure.file else ""),
        ("steps", "\n".join(failure.steps)),
        ("entry", failure.entry),
        ("do", failure.fix),
    )
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told if text)
    head = escape(f"{failure.symptom} {failure.what}")
    return f'<details><summary>{head}</summary><dl class="told">{rows}</dl></details>'


def _lint(matrix: Matrix) -> Iterator[str]:
    if matrix.lint:
        yield '<section class="card"><h2>Worth a look in the SQL</h2><ul class="plain">'
        for one in matrix.lint:
            told = f"{one.file}:{one.line} {one.rule}: {one.what}"
            yield f'<li>{escape(told)}<div class="do">{escape(one.fix)}</div></li>'
        yield "</ul></section>"
