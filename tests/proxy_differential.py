"""Whether the client, the proxy and what stands behind it all count the same requests."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tests.proxy_corpus import Case, Fate
from tests.proxy_corpus_answers import AnswerCase, Worth
from tests.proxy_oracle import Begun, Oracle, converse
from tests.proxy_wire import Conversation, Said, Seen

AT_ONCE = 24
REFUSALS = {"bad-request", "body-too-large", "header-timeout"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    case: Case
    id: str
    heard: Conversation

    @property
    def last_id(self) -> str:
        return f"{self.id}-last"


def last_request(id: str) -> bytes:
    return f"GET /last HTTP/1.1\r\nHost: lab.test\r\nX-Lab-Request-Id: {id}\r\nConnection: close\r\n\r\n".encode()


async def put_through(port: int, cases: Iterable[Case], *, alone: bool = False) -> list[Outcome]:
    """Send each case, and unless alone one more request after it, on a connection of its own."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, case: Case) -> Outcome:
        id = f"c{number}"
        async with room:
            heard = await converse(port, case.bytes_for(id) + (b"" if alone else last_request(f"{id}-last")))
        return Outcome(case=case, id=id, heard=heard)

    return await asyncio.gather(*(one(number, case) for number, case in enumerate(cases)))


async def put_through_cut(port: int, cases: Iterable[tuple[Case, int]]) -> list[Outcome]:
    """Send each case in two segments, the second of which begins so many bytes before the end of the case."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, case: Case, left: int) -> Outcome:
        id = f"c{number}"
        raw = case.bytes_for(id)
        # a machine that halts between the two makes it a slow one
        case = replace(case, statuses=case.statuses | {408})
        parts = raw[: len(raw) - left], raw[len(raw) - left :] + last_request(f"{id}-last")
        async with room:
            return Outcome(case=case, id=id, heard=await converse(port, *parts))

    return await asyncio.gather(*(one(number, case, left) for number, (case, left) in enumerate(cases)))


def complaints(outcomes: Iterable[Outcome], oracle: Oracle | None = None) -> list[str]:
    """Say of every case what was not as it must be."""
    seen: dict[str, list[Seen]] = {}
    for each in oracle.seen if oracle else ():
        seen.setdefault(each.id, []).append(each)
    found = []
    for outcome in outcomes:
        wrong = [*heard_amiss(outcome.case, outcome.heard), *(_seen(outcome, seen) if oracle else ())]
        case = outcome.case
        found += [f"{case.family}: {case.name[:80]}: {each}" for each in wrong]
    return found


def heard_amiss(case: Case, heard: Conversation, *, most: int = 2) -> Iterator[str]:
    """Say what is wrong with what a client heard, who sent a case and so many requests at most."""
    if not heard.closed:
        yield "the connection was left open"
    if heard.unsound:
        yield f"unsound: {heard.unsound}"
    if not heard.answers:
        yield "no answer"
        return
    first, *more = heard.answers
    if case.fate is Fate.REFUSED or (case.fate is Fate.EITHER and first.reason):
        yield from _refused(first, more, case.statuses)
    elif (first.status, first.reason) != (200, None):
        yield f"refused: {first.raw_head[:60]!r} {first.body!r}"
    elif len(heard.answers) > most or any(answer.reason for answer in more[:-1]):
        yield "more answers than there were requests"
    elif more and more[-1].reason:
        yield from _refused(more[-1], [], case.statuses | {400, 501})


def _refused(answer: Said, more: list[Said], statuses: frozenset[int]) -> Iterator[str]:
    if answer.reason is None:
        yield f"not refused: {answer.raw_head[:60]!r} {answer.body!r}"
    elif (answer.status not in statuses) or answer.reason not in REFUSALS:
        yield f"refused as {answer.status} {answer.reason}, not as one of {sorted(statuses)}"
    elif not answer.closes:
        yield "refused without saying that the connection ends"
    if more:
        yield "another answer after a refusal"


def _seen(outcome: Outcome, seen: dict[str, list[Seen]]) -> Iterator[str]:
    case, first = outcome.case, seen.get(outcome.id, [])
    whole = [each for each in first if each.complete]
    answered = [answer for answer in outcome.heard.answers if answer.reason is None]
    both = [*whole, *(each for each in seen.get(outcome.last_id, []) if each.complete)]
    if [answer.body.decode() for answer in answered] != [each.id for each in both]:
        yield f"answers {[answer.body for answer in answered]} to {[each.first for each in both]}"
    if len(first) > 1:
        yield "sent on more than once"
    if whole and case.body is not None and whole[0].body != case.body:
        yield f"the upstream has the body {whole[0].body!r}"


def disagreements(oracle: Oracle, begun: Begun) -> list[str]:
    """Compare what arrived with what the proxy says it has sent."""
    arrived = Counter(seen.attempt for seen in oracle.seen)
    whole = Counter(seen.attempt for seen in oracle.seen if seen.complete)
    found = [*oracle.unsound]
    found += [f"{id} arrived and was never sent" for id in arrived - begun.attempts]
    found += [f"{id} was answered and never arrived" for id in begun.answered - whole]
    found += [f"{id} arrived whole and was not answered" for id in whole - begun.answered]
    found += [f"{seen.target} was smuggled" for seen in oracle.seen if seen.target == "/smuggled"]
    return found


async def ask_for(port: int, cases: list[AnswerCase]) -> list[str]:
    """Ask for every case, on a client's connection each, and say what was not as it must be."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, case: AnswerCase) -> list[str]:
        raw = f"{case.method} /{number} HTTP/1.1\r\nHost: lab.test\r\nConnection: close\r\n\r\n".encode()
        async with room:
            heard = await converse(port, raw, head_only=case.method == "HEAD")
        return [f"{case.name[:80]}: {case.raw[:80]!r}: {wrong}" for wrong in _answered(case, heard)]

    found = await asyncio.gather(*(one(number, case) for number, case in enumerate(cases)))
    return [wrong for each in found for wrong in each]


def _answered(case: AnswerCase, heard: Conversation) -> Iterator[str]:
    if not heard.closed:
        yield "the connection was left open"
    cut = not heard.answers and heard.unsound is not None and heard.unsound.startswith("cut:")
    if cut and case.worth is Worth.BAD_OR_CUT:
        return
    if heard.unsound or len(heard.answers) != 1:
        yield f"{len(heard.answers)} answers, {heard.unsound}, {heard.raw[:200]!r}"
        return
    (answer,) = heard.answers
    good = (answer.status, answer.body, answer.reason) == (case.status, case.body, None)
    bad = (answer.status, answer.reason) == (502, "upstream-closed" if case.worth is Worth.EMPTY else "bad-answer")
    fine = {Worth.GOOD: good, Worth.GOOD_OR_BAD: good or bad}.get(case.worth, bad)
    if not fine:
        yield f"answered {answer.status} {answer.reason} {answer.body[:40]!r}"


def nothing(found: list[str]) -> None:
    assert not found, "\n".join(["", *found[:50]])
