"""PURE: the matrix as JUnit's XML: a case for each cell, pair, step and API."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from lab.compat.model import Api, Failure, Matrix, Result, State
from lab.compat.show.text import render as as_text
from lab.report.junit import NOT_XML


def render(matrix: Matrix) -> str:
    cases = list(_cases(matrix))
    failures, errors, skipped = (sum(f"<{tag} " in case for case in cases) for tag in ("failure", "error", "skipped"))
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f'  <testsuite name={_value(f"lab compat {matrix.change}")} {counts} time="{sum(matrix.took):.3f}">',
        *cases,
        f"    <system-out>{_text(as_text(matrix))}</system-out>",
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _cases(matrix: Matrix) -> Iterator[str]:
    for kind, results in (("cell", matrix.cells), ("pair", matrix.pairs), ("step", matrix.edges)):
        yield from (_case(kind, result.name, result.seconds, _ended(result)) for result in results)
    for api in matrix.api:
        yield _case("api", f"clients of {api.client} at servers of {api.server}", 0.0, _api(api))
    gap = matrix.path.gap
    yield _case("path", "there is a way on which nothing breaks", 0.0, _tag("failure", gap, gap) if gap else "")


def _ended(result: Result) -> str:
    match result.state:
        case State.BROKEN:
            told = "\n\n".join(map(_failure, result.failures))
            return _tag("failure", ", ".join(result.counts), told)
        case State.UNKNOWN:
            return _tag("error", "nothing was asked of it", "") if result.levels else _tag("skipped", "not asked", "")
        case State.UNPROMISED:
            seen = ", ".join(result.counts) or ("works" if result.asked else "not asked")
            return _tag("skipped", f"not promised: {seen}", "")
        case State.KEPT:
            return ""


def _api(api: Api) -> str:
    told = "\n".join(f"{change.where}: {change.what}" for change in api.broken)
    if api.state is State.BROKEN:
        return _tag("failure", api.broken[0].what, told)
    if api.state is State.UNPROMISED:
        return _tag("skipped", f"not promised: {len(api.broken)} differences", told)
    return ""


def _failure(failure: Failure) -> str:
    told = (
        f"{failure.symptom} {failure.what}",
        f"{failure.sqlstate} {failure.message}".strip(),
        " ".join(failure.sql.split()),
        f"request: {failure.request}" if failure.request else "",
        f"response: {failure.response}" if failure.response else "",
        *failure.steps,
        f"fix: {failure.fix}" if failure.fix else "",
    )
    return "\n".join(text for text in told if text)


def _case(kind: str, name: str, seconds: float, ended: str) -> str:
    return f'    <testcase classname="compat.{kind}" name={_value(name)} time="{seconds:.3f}">{ended}</testcase>'


def _tag(tag: str, message: str, text: str) -> str:
    return f"<{tag} message={_value(message)}>{_text(text)}</{tag}>"


def _value(text: str) -> str:
    return quoteattr(NOT_XML.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(NOT_XML.sub("\ufffd", text))
