"""Level 2: what a version has to answer on a schema: create, read, update, list, delete, and the file's checks."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from lab.compat.catalogue import Symptom
from lab.compat.checks import Check, Checks, Field, Request, Resource
from lab.compat.client import Answer, Client
from lab.compat.client import at as at_path
from lab.compat.model import Failure
from lab.compat.oracle import UNKNOWN, Row, Wrong, look, pages, shape

MOST_PAGES = 60
Checker = Callable[[Answer], str]
"""Says what is wrong with an answer by its version's own OpenAPI document; "" is nothing."""


@dataclass(slots=True, kw_only=True)
class Asker:
    """One version in one cell. `serial` tells its rows from everybody else's; `suits` is of its own document."""

    version: str
    client: Client
    checks: Checks
    serial: "itertools.count[int]"
    run: str
    suits: Checker = lambda _answer: ""
    level: int = 2
    strangers: bool = True
    """Whether rows that others made have to be right, too, where they stand in a list."""

    def failure(self, answer: Answer, wrong: Wrong, steps: tuple[str, ...] = ()) -> Failure:
        return Failure(
            level=self.level,
            symptom=wrong.symptom,
            what=f"{self.version}: {wrong.what}",
            request=answer.request,
            response=answer.told,
            steps=steps,
        )

    def value(self, one: Field, number: int) -> Any:
        value = one.values[number % len(one.values)]
        return value.replace("{n}", f"{self.run}{number}") if isinstance(value, str) else value

    def new(self, resource: Resource, number: int) -> dict[str, Any]:
        """The fields of a row that this version makes."""
        fields = [one for one in resource.fields if one.create and one.written_by(self.version)]
        return {one.name: self.value(one, number) for one in fields}

    def changed(self, resource: Resource, number: int, only: str = "") -> dict[str, Any]:
        fields = [one for one in resource.fields if one.update and one.written_by(self.version)]
        return {one.name: self.value(one, number) for one in fields if only in {"", one.name}}

    def updatable(self, resource: Resource) -> list[str]:
        return [one.name for one in resource.fields if one.update and one.written_by(self.version)]

    # the requests, each with what is wrong about its answer

    def create(self, resource: Resource, age: str) -> tuple[Row | None, list[Failure]]:
        given = self.new(resource, next(self.serial))
        answer = self.ask(resource.create, given)
        shown, found = self._shown(resource, answer)
        if shown is None:
            return None, found
        row = Row(id=at_path(answer.json, resource.id), age=age, values={}, writer=self.version)
        row.write(resource, self.version, given)
        return row, found + [self.failure(answer, wrong) for wrong in look(resource, row, shown, self.version)]

    def read(self, resource: Resource, row: Row) -> list[Failure]:
        if resource.read is None:
            return []
        answer = self.ask(resource.read, id=row.id)
        shown, found = self._shown(resource, answer)
        if shown is None:
            return found
        wrong = dict.fromkeys((*look(resource, row, shown, self.version), *shape(resource, shown, self.version)))
        told = {one.what.split(" ")[0]: one for one in reversed(list(wrong))}  # of two about one field, the oracle's
        return found + [self.failure(answer, one) for one in told.values()]

    def update(self, resource: Resource, row: Row, only: str = "") -> list[Failure]:
        given = self.changed(resource, next(self.serial), only)
        if resource.update is None or not given:
            return []
        answer = self.ask(resource.update, given, id=row.id)
        shown, found = self._shown(resource, answer)
        if shown is None:
            return found
        row.write(resource, self.version, given)
        return found + [self.failure(answer, wrong) for wrong in look(resource, row, shown, self.version)]

    def delete(self, resource: Resource, row: Row) -> list[Failure]:
        if resource.delete is None:
            return []
        answer = self.ask(resource.delete, id=row.id)
        return [] if answer.status < 400 and answer.status else [self._error(answer)]  # noqa: PLR2004

    def gone(self, resource: Resource, row: Row) -> list[Failure]:
        if resource.read is None or resource.delete is None:
            return []
        answer = self.ask(resource.read, id=row.id)
        if answer.status == 404:  # noqa: PLR2004
            return []
        return [self.failure(answer, Wrong(symptom=Symptom.STALE, what="a deleted row is still there"))]

    def walk(self, resource: Resource, rows: list[Row], turn: "Asker | None" = None) -> list[Failure]:
        """Every page; with `turn` the two versions take turns. The rows that are known have to be right in it, too."""
        if resource.listing is None:
            return []
        known, listed, found = {row.id: row for row in rows}, list[Any](), list[Failure]()
        askers, after, answer, whole = itertools.cycle([self, turn or self]), None, None, False
        for _ in range(MOST_PAGES):
            asker = next(askers)
            answer, items, problems = asker.page(resource, resource.listing, after)
            found += problems
            if items is None:
                return found
            for item in items:
                id = at_path(item, _within(resource.id, resource.item))
                listed.append(id)
                found += asker.item(resource, item, known.get(id), answer)
            after = at_path(answer.json, resource.next) if resource.next else None
            whole = after is None
            if whole:
                break
        if answer is not None and whole:
            found += [self.failure(answer, wrong) for wrong in pages(set(known), listed)]
        return _distinct(found)

    def one(self, check: Check) -> list[Failure]:
        number = next(self.serial)
        body = None if check.body is None else _filled(check.body, f"{self.run}{number}")
        answer = self.ask(check.request, body, n=f"{self.run}{number}")
        if answer.status not in check.status:
            wanted = " or ".join(map(str, sorted(check.status)))
            return [self._error(answer, f"{check.name}: {answer.status or 'no answer'} instead of {wanted}")]
        different = [(path, value) for path, value in check.expect if at_path(answer.json, path) != value]
        told = [f"{check.name}: {path} is {at_path(answer.json, path)!r}, not {value!r}" for path, value in different]
        return [self.failure(answer, Wrong(symptom=Symptom.SHAPE, what=what)) for what in told]

    def ask(self, request: Request, body: Mapping[str, Any] | None = None, **places: object) -> Answer:
        return self.client.ask(request.method, request.path.format(**places), body)

    # what is in an answer

    def page(
        self, resource: Resource, listing: Request, after: object
    ) -> tuple[Answer, list[Any] | None, list[Failure]]:
        made = int(repr(self.serial)[6:-1])  # a count shows how far it is
        query: dict[str, Any] = {resource.limit: max(resource.page, made // 8)} if resource.limit else {}
        query |= {resource.after: after} if after is not None and resource.after else {}
        path = listing.path + (f"?{urlencode(query)}" if query else "")
        answer = self.client.ask(listing.method, path)
        if answer.status != 200:  # noqa: PLR2004
            return answer, None, [self._error(answer)]
        items = at_path(answer.json, resource.items)
        if not isinstance(items, list):
            wrong = Wrong(symptom=Symptom.SHAPE, what=f"no list at {resource.items or 'the top'}")
            return answer, None, [self.failure(answer, wrong)]
        return answer, items, self._unsuitable(answer) if self.strangers else []

    def item(self, resource: Resource, item: Any, row: Row | None, answer: Answer) -> list[Failure]:
        if row is None and not self.strangers:
            return []
        wrongs = shape(resource, item, self.version) or (look(resource, row, item, self.version) if row else ())
        return [self.failure(answer, wrong) for wrong in wrongs]

    def _shown(self, resource: Resource, answer: Answer) -> tuple[Mapping[str, Any] | None, list[Failure]]:
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            return None, [self._error(answer)]
        shown = answer.at(resource.item)
        if not isinstance(shown, Mapping):
            return None, [self.failure(answer, wrong) for wrong in shape(resource, shown, self.version)]
        return shown, self._unsuitable(answer)

    def _unsuitable(self, answer: Answer) -> list[Failure]:
        what = self.suits(answer)
        return [self.failure(answer, Wrong(symptom=_of_schema(what), what=what))] if what else []

    def _error(self, answer: Answer, what: str = "") -> Failure:
        return self.failure(answer, Wrong(symptom=Symptom.ERROR, what=what or f"{answer.request} failed"))


def contract(asker: Asker, rows: dict[str, list[Row]]) -> Iterator[Failure]:
    """One round: each resource made, read, changed, listed and deleted, then the file's own checks.

    `rows`: those that are there, by resource; what this round makes is added.
    """
    for resource in asker.checks.resources:
        there = rows.setdefault(resource.name, [])
        for row in there[:3]:
            yield from asker.read(resource, row)
        made, found = asker.create(resource, asker.version)
        yield from found
        if made is not None:
            row = made
            there.append(row)
            yield from asker.read(resource, row)
            yield from asker.update(resource, row)
            for name in asker.updatable(resource):
                yield from asker.update(resource, row, name)
            yield from asker.read(resource, row)
        yield from asker.walk(resource, there)
        doomed, found = asker.create(resource, asker.version) if resource.delete else (None, [])
        yield from found
        if doomed is not None:
            yield from asker.delete(resource, doomed)
            yield from asker.gone(resource, doomed)
    for check in asker.checks.checks:
        if check.of(asker.version):
            yield from asker.one(check)


def warm(asker: Asker, rows: Mapping[str, list[Row]], times: int) -> None:
    """Have every query run so often that a driver prepares it. What is wrong with an answer is not looked at here."""
    for resource in asker.checks.resources:
        for row in rows.get(resource.name, ())[:1]:
            for _ in range(times):
                asker.read(resource, row)
                asker.update(resource, row)
        for _ in range(times if resource.listing else 0):
            asker.page(resource, resource.listing or resource.create, None)


def _of_schema(what: str) -> Symptom:
    return Symptom.NULL if "None is not of type" in what else Symptom.SHAPE


def _within(id: str, item: str) -> str:
    """Where the id is in the row itself."""
    return id.removeprefix(item + ".") if item else id


def _filled(value: Any, number: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(one, number) for key, one in value.items()}
    return value.replace("{n}", number) if isinstance(value, str) else value


def _distinct(found: list[Failure]) -> list[Failure]:
    """Rows of one list that fail in the same way are told once."""
    return list({(failure.symptom, failure.what): failure for failure in found}.values())


__all__ = ["UNKNOWN", "Asker", "Checker", "contract", "warm"]
