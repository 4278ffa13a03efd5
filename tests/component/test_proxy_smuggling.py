"""No bytes make the proxy see one request and what stands behind it two."""

import gc
import itertools
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from proxy.settings import Limits
from tests.proxy_corpus import Case, Fate
from tests.proxy_corpus_all import FAMILIES
from tests.proxy_corpus_answers import AnswerCase, Worth, answer_cases
from tests.proxy_corpus_bodies import chunks, trailers
from tests.proxy_differential import ask_for, complaints, disagreements, nothing, put_through, put_through_cut
from tests.proxy_fuzz import answers, in_the_end, messages, proxy_to, try_answer, try_one
from tests.proxy_oracle import Liar, Oracle, ledger_of, rotate
from tests.proxy_world import world

# A malformed message is no reason to wait long, and many at once none to give the only replica up.
LIMITS = Limits(header_seconds=1.0, client_seconds=1.0, hold_seconds=0, eject_errors=1_000_000)
BRIEF = Limits(header_seconds=0.2, client_seconds=0.2, hold_seconds=0, eject_errors=1_000_000)


@pytest.fixture(autouse=True)
def nothing_goes_wrong_unseen(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    gc.collect()
    nothing([record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
async def test_what_is_malformed_is_refused_and_never_whole_at_an_upstream(
    tmp_path: Path, family: Callable[[], Iterator[Case]]
) -> None:
    async with world(tmp_path, limits=LIMITS) as lab:
        upstream = await rotate(lab, Oracle())
        await lab.change("PUT", "/v1/run", run="r1")
        outcomes = await put_through(lab.port, family())
        begun = await ledger_of(lab, "r1")
        nothing(complaints(outcomes, upstream))
        nothing(disagreements(upstream, begun))


async def test_what_is_malformed_is_refused_also_where_nothing_follows_it(tmp_path: Path) -> None:
    refused = [case for family in FAMILIES for case in family() if case.fate is Fate.REFUSED]
    # Some are only the beginning of a request then: what else could they be but too slow?
    cases = [replace(case, statuses=case.statuses | {408}) for case in refused]
    async with world(tmp_path, limits=LIMITS) as lab:
        upstream = await rotate(lab, Oracle())
        await lab.change("PUT", "/v1/run", run="r1")
        outcomes = await put_through(lab.port, cases, alone=True)
        begun = await ledger_of(lab, "r1")
        nothing(complaints(outcomes, upstream))
        nothing(disagreements(upstream, begun))


async def test_a_malformed_body_is_refused_wherever_its_segments_are_cut(tmp_path: Path) -> None:
    cases = [case for case in (*chunks(), *trailers()) if case.fate is Fate.REFUSED and len(case.raw) < 250]
    cut = [(case, left) for case in cases for left in range(len(case.raw.split(b"\r\n\r\n", 1)[1]))]
    async with world(tmp_path, limits=LIMITS) as lab:
        upstream = await rotate(lab, Oracle())
        await lab.change("PUT", "/v1/run", run="r1")
        outcomes = await put_through_cut(lab.port, cut)
        begun = await ledger_of(lab, "r1")
        nothing(complaints(outcomes, upstream))
        nothing(disagreements(upstream, begun))


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    cases = [case for family in FAMILIES for case in family()]
    assert len({case.raw for case in cases}) > 1200


def answers_cut() -> list[AnswerCase]:
    """Return answers in two segments; not those with more after them, which is only seen if it comes in time."""
    chance = random.Random(9112)
    whole = [
        case for case in answer_cases() if len(case.raw) < 1000 and (case.reusable or case.worth is not Worth.GOOD)
    ]
    return [replace(case, cut=chance.randrange(1, len(case.raw))) for case in whole * 3 if len(case.raw) > 1]


@pytest.mark.parametrize("cases", [answer_cases(), answers_cut()], ids=["whole", "cut"])
async def test_an_answer_that_is_none_is_not_passed_on_and_its_connection_not_used_again(
    tmp_path: Path, cases: list[AnswerCase]
) -> None:
    async with world(tmp_path, limits=LIMITS) as lab:
        liar = await rotate(lab, Liar(cases))
        nothing(await ask_for(lab.port, cases))
        nothing(liar.trusted)
        again = [cases[number].raw for number, count in liar.asked.items() if count != 1]
        assert set(again) <= {b""}, "only where nothing at all came back may a GET be repeated"


BY_CHANCE = settings(
    max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def test_whatever_is_sent_the_client_and_the_upstream_agree_on_what_was_asked(tmp_path: Path) -> None:
    with proxy_to(Oracle(), tmp_path, BRIEF) as (run, lab, upstream):
        run(lab.change("PUT", "/v1/run", run="r1"))
        numbers = itertools.count()

        @BY_CHANCE
        @given(messages)
        def check(raw: bytes) -> None:
            nothing(run(try_one(lab.port, upstream, raw, f"f{next(numbers)}")))

        check()
        nothing(in_the_end(upstream, run(ledger_of(lab, "r1"))))


def test_whatever_is_answered_the_client_gets_one_sound_answer_or_sees_that_it_breaks_off(tmp_path: Path) -> None:
    with proxy_to(Liar([]), tmp_path, BRIEF) as (run, lab, liar):

        @BY_CHANCE
        @given(answers)
        def check(raw: bytes) -> None:
            nothing(run(try_answer(lab.port, liar, raw)))

        check()
