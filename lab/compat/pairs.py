"""Level 3, the containers: the versions that a phase serves, side by side on one copy of it, in every ordered pair."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import permutations

from lab.compat.catalogue import Symptom
from lab.compat.cells import Live, NotReadyError, Surroundings, named, start
from lab.compat.explain import Explainer
from lab.compat.interleave import Pair, interleave
from lab.compat.model import Failure, Result
from lab.compat.oracle import Row
from lab.compat.server import in_database
from lab.manifest import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A phase, and the versions that it serves. `alone`: the one that level 2 has running there already."""

    around: Surroundings
    explainer: Explainer
    phase: str
    versions: Sequence[Version]
    legacy: Mapping[str, list[Row]]
    alone: Live | None = None


def pairs_of(meeting: Meeting) -> tuple[Result, ...]:
    """Every ordered pair of these versions; where there is one only, that one with itself."""
    rows = {name: [row.copy() for row in those] for name, those in meeting.legacy.items()}
    if len(meeting.versions) == 1 and meeting.alone is not None:
        return (_asked(meeting, meeting.alone, meeting.alone, meeting.alone.rows),)
    try:
        lives = _side_by_side(meeting)
    except NotReadyError as error:
        failure = replace(error.failure, level=3)
        return tuple(_result(meeting, w.serves_as, r.serves_as, 1, failure, 0.0) for w, r in _ordered(meeting))
    try:
        return tuple(_asked(meeting, lives[w.serves_as], lives[r.serves_as], rows) for w, r in _ordered(meeting))
    finally:
        for live in lives.values():
            live.asker.client.close()
            meeting.around.containers.remove(live.cell)


def _ordered(meeting: Meeting) -> list[tuple[Version, Version]]:
    pairs = list(permutations(meeting.versions, 2))
    return pairs or [(version, version) for version in meeting.versions]


def _side_by_side(meeting: Meeting) -> dict[str, Live]:
    """Each of them on the same copy of the phase, started at once."""
    around, phase = meeting.around, meeting.phase
    database = around.server.clone(phase, named("pairs", phase))

    def begin(version: Version) -> Live:
        name = named("pair", version.serves_as, phase)
        return start(around, version, phase, name=name, database=database, promised=True)

    with ThreadPoolExecutor(max(1, len(meeting.versions))) as pool:
        return {live.version: live for live in pool.map(begin, meeting.versions)}


def _asked(meeting: Meeting, writer: Live, reader: Live, rows: dict[str, list[Row]]) -> Result:
    began, place = time.monotonic(), meeting.around.server.mark()
    askers = {live.version: replace(live.asker, level=3, strangers=False) for live in (writer, reader)}
    pair = Pair(
        writer=askers[writer.version],
        reader=askers[reader.version],
        resources=meeting.around.checks.resources,
        legacy=rows,
    )
    found = interleave(pair)
    failure = found.failure
    if failure is not None:
        failure = _with_sql(meeting.around, place, writer.database.name, failure)
    return _result(meeting, writer.version, reader.version, found.asked, failure, time.monotonic() - began)


def _with_sql(around: Surroundings, place: int, database: str, failure: Failure) -> Failure:
    """The last statement that the server refused: the last sequence that ran is the shortest."""
    if failure.symptom is not Symptom.ERROR:
        return failure
    failed = [entry for entry in in_database(around.server.since(place), database) if entry.failed]
    if not failed:
        return failure
    return replace(failure, sqlstate=failed[-1].sqlstate, message=failed[-1].message, sql=failed[-1].query)


def _result(meeting: Meeting, writer: str, reader: str, asked: int, failure: Failure | None, seconds: float) -> Result:  # noqa: PLR0917
    told = () if failure is None else (meeting.explainer.explained(failure, reader, meeting.phase),)
    return Result(
        name=f"{writer} -> {reader} on {meeting.phase}",
        phase=meeting.phase,
        versions=(writer, reader),
        promised=True,
        asked=asked,
        failures=told,
        levels=(3,),
        seconds=seconds,
    )
