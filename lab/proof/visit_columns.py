"""A replica's own words about the requests that it saw, in columns; and all replicas' together."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from lab.proof.columns import NOTHING, longer
from lab.proof.ids import NONE, Ids
from lab.proof.records import Visit


class Visits(Mapping[str, tuple[Visit, ...]]):
    """One replica's, in the order in which it began them."""

    def __init__(self, replica: str, ids: Ids) -> None:
        self.replica = replica
        self.ids = ids
        self.rows, self.attempts = array("i"), array("i")
        self.begun, self.ended = array("q"), array("q")
        self._latest = NOTHING
        self._by_row: dict[int, list[int]] | None = None

    def begin(self, row: int, attempt: int, begun: int) -> int:
        """Return its place; NONE if it is known already. A log is written in order: only what is late may be twice."""
        if begun <= self._latest and any(
            (self.attempts[place], self.begun[place]) == (attempt, begun) for place in self._places(row)
        ):
            return NONE
        self._latest = max(self._latest, begun)
        place = len(self.rows)
        self.rows.append(row)
        self.attempts.append(attempt)
        self.begun.append(begun)
        self.ended.append(NOTHING)
        if self._by_row is not None:
            self._by_row[row].append(place)
        return place

    def end(self, place: int, ended: int) -> None:
        self.ended[place] = ended

    def visit(self, place: int) -> Visit:
        ended = self.ended[place]
        return Visit(
            replica=self.replica,
            attempt=self.attempts[place],
            begun=self.begun[place],
            ended=None if ended == NOTHING else ended,
        )

    def __getitem__(self, request: str) -> tuple[Visit, ...]:
        places = self._places(self.ids.find(request))
        if not places:
            raise KeyError(request)
        return tuple(map(self.visit, places))

    def __iter__(self) -> Iterator[str]:
        return (self.ids.name(row) for row in dict.fromkeys(self.rows))

    def __len__(self) -> int:
        return len(set(self.rows))

    def _places(self, row: int) -> Sequence[int]:
        if self._by_row is None:
            self._by_row = defaultdict(list)
            for place, its in enumerate(self.rows):
                self._by_row[its].append(place)
        return self._by_row.get(row, ())


def visits_of(ids: Ids, logs: Sequence[Visits]) -> Callable[[int], tuple[Visit, ...]]:
    """What all replicas saw of a row of those ids."""
    log, place = array("i"), array("i")
    more: dict[int, tuple[Visit, ...]] = {}

    def at(row: int) -> tuple[Visit, ...]:
        if row >= len(log) or log[row] == NONE:
            return ()
        return more.get(row) or (logs[log[row]].visit(place[row]),)

    for number, visits in enumerate(logs):
        mine = visits.ids is ids
        for here, its in enumerate(visits.rows):
            row = its if mine else ids.row(visits.ids.name(its))
            while row >= len(log):
                longer((), (log, place))
            if log[row] == NONE:
                log[row], place[row] = number, here
            else:
                more[row] = (*at(row), visits.visit(here))
    return at
