"""PURE: the matrix for a terminal."""

from collections.abc import Iterator, Sequence

from lab.compat.model import Api, Failure, Matrix, Path, Result, State

MARKS = {State.KEPT: "✔", State.BROKEN: "✘", State.UNPROMISED: "\u2013", State.UNKNOWN: "?"}
SHOWN = 5
WIDTH = 110


def render(matrix: Matrix, *, explain: bool = False) -> str:
    """The grid, the pairs, the edges and the way; with `explain` every failure with all that is known of it."""
    return "\n".join(line.rstrip() for line in _lines(matrix, explain=explain)) + "\n"


def mark(result: Result) -> str:
    """What stands in a cell."""
    if not result.levels:
        return "·" if result.promised else "\u2013"
    found = ", ".join(f"{code} x{count}" if count > 1 else code for code, count in list(result.counts.items())[:3])
    sign = MARKS[result.state]
    if result.failures:
        return f"{sign} ({found})"
    if result.could_be_allowed:
        return f"{sign} (works)"
    return f"{sign} {result.asked}" if result.asked else sign


def _lines(matrix: Matrix, *, explain: bool) -> Iterator[str]:
    yield f"change {matrix.change}, levels {matrix.levels[0]}-{matrix.levels[-1]}"
    yield ""
    yield from _grid(matrix)
    yield from _several("pairs", "writer -> reader", matrix.pairs)
    yield from _several("edges", "step, under traffic", matrix.edges)
    yield from (_api(api) for api in matrix.api if api.known)
    yield from _path(matrix.path)
    yield from (f"lint   {one.phase}, {one.file}:{one.line}  {one.rule}: {one.what}" for one in matrix.lint)
    yield from (f"note   {note}" for note in matrix.notes)
    yield from (f"note   {told}" for told in allowed(matrix))
    if matrix.stopped is not None:
        yield f"note   level {matrix.stopped} is red: the deeper levels were not asked; --all goes on"
    yield ""
    yield from _failures(matrix, explain=explain)
    yield sentence(matrix)


def _grid(matrix: Matrix) -> Iterator[str]:
    heads = ["", *matrix.phases]
    rows = [[version, *(mark(matrix.cell(version, phase)) for phase in matrix.phases)] for version in matrix.versions]
    widths = [max(len(row[n]) for row in (heads, *rows)) for n in range(len(heads))]
    for row in (heads, *rows):
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))


def _several(name: str, what: str, results: Sequence[Result]) -> Iterator[str]:
    if results:
        yield f"{name}  ({what})"
    for result in results:
        slow = "" if result.p99_ms is None else f"  p99 {result.p99_ms:.0f} ms"
        yield f"  {result.name:<32} {mark(result)}{slow}"


def _api(api: Api) -> str:
    who = f"api    {api.client}'s clients at {api.server}'s servers: "
    if not api.broken:
        return f"{who}{MARKS[api.state]} nothing that they cannot bear"
    more = f" and {len(api.broken) - 1} more" if len(api.broken) > 1 else ""
    return f"{who}{MARKS[api.state]} {api.broken[0].where}: {api.broken[0].what}{more}"


def _path(path: Path) -> Iterator[str]:
    if path.gap:
        yield f"path   ✘ {path.gap}"
        return
    way = [f"{stop.phase} {'+'.join(stop.live)}{'' if stop.right else ' ✘'}" for stop in path.stops]
    yield f"path   {' -> '.join(way)}"
    if path.no_return:
        yield f"       point of no return: {path.no_return}"


def allowed(matrix: Matrix) -> Iterator[str]:
    """Promises that could be made."""
    for cell in matrix.cells:
        if cell.could_be_allowed:
            yield f"{cell.name} works: `serves` of {cell.phase} could name {cell.versions[0]}"


def _failures(matrix: Matrix, *, explain: bool) -> Iterator[str]:
    for result in matrix.results():
        if not result.failures or (result.state is not State.BROKEN and not explain):
            continue
        yield f"{MARKS[result.state]} {result.name}"
        shown = result.failures if explain else kinds(result.failures)[:SHOWN]
        for failure in shown:
            yield from _failure(failure, explain=explain)
        if len(shown) < len(result.failures):
            yield f"    and {len(result.failures) - len(shown)} more: --explain"
        yield ""
    for api in matrix.api:
        if api.state is State.BROKEN or (explain and api.broken):
            yield f"{MARKS[api.state]} {api.client}'s clients at {api.server}'s servers"
            yield from (f"    {change.where}: {change.what}" for change in api.broken)
            yield ""


def kinds(failures: Sequence[Failure]) -> list[Failure]:
    """The first of each kind: what the server said of it, or what is wrong with the answer."""
    return list({(f.symptom, f.message or f.what): f for f in reversed(failures)}.values())[::-1]


def _failure(failure: Failure, *, explain: bool) -> Iterator[str]:
    yield f"    {failure.symptom}  {failure.what}"
    if not explain:
        code = f"{failure.sqlstate} {failure.message}".strip()
        yield from (f"           {text[:WIDTH]}" for text in (code, failure.fix) if text)
        return
    told = (
        ("request", failure.request),
        ("response", failure.response),
        ("sqlstate", f"{failure.sqlstate} {failure.message}".strip()),
        ("sql", " ".join(failure.sql.split())),
        ("where", f"{failure.file}:{failure.line}" if failure.file else ""),
        ("entry", failure.entry),
        ("fix", failure.fix),
    )
    yield from (f"        {name:<9} {text}" for name, text in told if text)
    yield from (f"        step {n:<4} {step}" for n, step in enumerate(failure.steps, start=1))


def sentence(matrix: Matrix) -> str:
    """The answer in one line."""
    results = list(matrix.results())
    broken = [r.name for r in results if r.state is State.BROKEN]
    broken += [f"{a.client}'s clients at {a.server}'s servers" for a in matrix.api if a.state is State.BROKEN]
    if matrix.path.gap:
        broken.append("the path")
    if broken:
        return f"BROKEN: {', '.join(broken)}"
    if matrix.undecided:
        return f"UNDECIDED: nothing was asked of {', '.join(matrix.undecided)}"
    promised = sum(r.state is State.KEPT for r in results)
    return f"KEPT: {promised} promises, {sum(r.asked for r in results)} checks"
