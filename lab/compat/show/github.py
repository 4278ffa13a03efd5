"""PURE: the matrix as GitHub's annotations: what is broken is an error at the SQL that broke it, lint is a warning."""

from collections.abc import Iterator
from pathlib import PurePath

from lab.compat.model import Failure, Matrix, Result, State
from lab.compat.show.text import sentence


def render(matrix: Matrix, *, root: str = "") -> str:
    """`root`: the folder that paths are given from, as GitHub shows them; "" leaves them as they are."""
    return "\n".join([*_lines(matrix, PurePath(matrix.plan), root), sentence(matrix)]) + "\n"


def _lines(matrix: Matrix, plan: PurePath, root: str) -> Iterator[str]:
    for result in matrix.results():
        if result.state is State.BROKEN:
            yield from _distinct(_error(result, failure, plan, root) for failure in result.failures)
    for api in matrix.api:
        if api.state is State.BROKEN:
            for change in api.broken:
                told = f"{api.client}'s clients at {api.server}'s servers: {change.where}: {change.what}"
                yield _annotation("error", _path(plan, root), 1, "api", told)
    if matrix.path.gap:
        yield _annotation("error", _path(plan, root), 1, "path", matrix.path.gap)
    for one in matrix.lint:
        yield _annotation("warning", _path(plan.with_name(one.file), root), one.line, one.rule, one.what)


def _error(result: Result, failure: Failure, plan: PurePath, root: str) -> str:
    file = plan.with_name(failure.file) if failure.file else plan
    told = f"{failure.symptom} {failure.what}"
    told += f"\n{failure.sqlstate} {failure.message}" if failure.sqlstate else ""
    told += f"\n{failure.fix}" if failure.fix else ""
    return _annotation("error", _path(file, root), failure.line or 1, result.name, told)


def _path(path: PurePath, root: str) -> str:
    return str(path.relative_to(root)) if root and path.is_relative_to(root) else str(path)


def _annotation(kind: str, file: str, line: int, title: str, told: str) -> str:
    return f"::{kind} file={_property(file)},line={line},title={_property(title)}::{_data(told)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _distinct(lines: Iterator[str]) -> Iterator[str]:
    yield from dict.fromkeys(lines)
