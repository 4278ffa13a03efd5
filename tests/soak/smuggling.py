"""`make soak-smuggling`: the corpus in two pieces each, one case after another, and thousands of messages nobody wrote.

Seeded: what a seed found is found again with `--seed`. About four minutes; one line per part, exit 1 if any failed.
"""

import argparse
import asyncio
import gc
import itertools
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from proxy.settings import Limits
from tests.proxy_corpus import Case, Fate
from tests.proxy_corpus_all import FAMILIES
from tests.proxy_differential import Outcome, complaints, disagreements, last_request, put_through_cut
from tests.proxy_fuzz import answers, in_the_end, messages, proxy_to, try_answer, try_one
from tests.proxy_oracle import Liar, Oracle, converse_on, ledger_of, rotate
from tests.proxy_repeats import ask_alike
from tests.proxy_world import OWNER, World, world

LIMITS = Limits(header_seconds=1.0, client_seconds=1.0, hold_seconds=0, eject_errors=1_000_000)
BRIEF = Limits(header_seconds=0.1, client_seconds=0.1, hold_seconds=0, eject_errors=1_000_000)
CASES = list(itertools.chain.from_iterable(family() for family in FAMILIES))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    failures = 0
    for number in range(asked.rounds):
        failures += _said(f"cut {number + 1}", asyncio.run(_in_a_world(lambda lab: _cut(lab, chance))))
    failures += _said("lawful before malformed", asyncio.run(_in_a_world(_paired)))
    failures += _said("nearly the same again", asyncio.run(_alike(asked.seed, asked.examples)))
    failures += _said("by chance", _by_chance(asked.seed, asked.examples))
    failures += _said("answers by chance", _answers_by_chance(asked.seed, asked.examples))
    print(f"soak smuggling: seed {asked.seed}, {failures} failed", flush=True)
    return 1 if failures else 0


def _said(part: str, found: tuple[int, list[str], float]) -> int:
    count, wrong, seconds = found
    print(f"soak smuggling {part}: {len(wrong)} wrong of {count}, {seconds:.1f} s", flush=True)
    for each in wrong[:20]:
        print(f"  {each}", flush=True)
    return len(wrong)


async def _in_a_world(run: Callable[[World], Awaitable[list[Outcome]]]) -> tuple[int, list[str], float]:
    began, errors = time.monotonic(), _errors_of(asyncio.get_running_loop())
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder), limits=LIMITS) as lab:
            upstream = await rotate(lab, Oracle())
            await lab.change("PUT", "/v1/run", run="r1")
            outcomes = await run(lab)
            wrong = complaints(outcomes, upstream) + disagreements(upstream, await ledger_of(lab, "r1"))
    gc.collect()
    return len(outcomes), wrong + errors, time.monotonic() - began


def _errors_of(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return a list to which every exception is added that nobody takes."""
    errors: list[str] = []
    loop.set_exception_handler(lambda _, context: errors.append(repr(context.get("exception", context["message"]))))
    return errors


async def _cut(lab: World, chance: random.Random) -> list[Outcome]:
    """Send every case in two segments, divided at a place drawn by chance."""
    return await put_through_cut(lab.port, [(case, chance.randrange(len(case.raw))) for case in CASES])


async def _paired(lab: World) -> list[Outcome]:
    """Send every refused case on a connection that has just carried a lawful request."""
    lawful = b"POST /lawful HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 5\r\n\r\nhello"

    async def one(number: int, case: Case) -> Outcome:
        id = f"c{number}"
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        writer.write(lawful)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        heard = await converse_on(reader, writer, case.bytes_for(id) + last_request(f"{id}-last"))
        return Outcome(case=case, id=id, heard=heard)

    refused = [case for case in CASES if case.fate is Fate.REFUSED]
    return await _few_at_once([one(number, case) for number, case in enumerate(refused)])


async def _few_at_once(ones: list[Awaitable[Outcome]]) -> list[Outcome]:
    room = asyncio.Semaphore(24)

    async def when_there_is_room(one: Awaitable[Outcome]) -> Outcome:
        async with room:
            return await one

    return await asyncio.gather(*map(when_there_is_room, ones))


async def _alike(number: int, steps: int) -> tuple[int, list[str], float]:
    began = time.monotonic()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as lab:
            upstream = await rotate(lab, Oracle())
            for round_ in range(steps // 1000):
                chance = random.Random(f"{number}-{round_}")
                wrong += await ask_alike(lab.port, upstream, chance, 1000)
                upstream.complete.clear()
            wrong += upstream.unsound
    return steps, wrong, time.monotonic() - began


def _by_chance(number: int, examples: int) -> tuple[int, list[str], float]:
    began, ids, wrong = time.monotonic(), itertools.count(), []
    with tempfile.TemporaryDirectory() as folder, proxy_to(Oracle(), Path(folder), BRIEF) as (run, lab, upstream):
        errors: list[str] = run(_record_errors())
        run(lab.call("POST", "/v1/lease", {"owner": OWNER, "ttl_ms": 3_600_000, "fence": lab.fence}))
        run(lab.change("PUT", "/v1/run", run="r1"))

        @_seeded(number, examples)
        @given(messages)
        def check(raw: bytes) -> None:
            found = run(try_one(lab.port, upstream, raw, f"f{next(ids)}"))
            assert not found, (raw, found)

        wrong += _failure_of(check)
        wrong += in_the_end(upstream, run(ledger_of(lab, "r1")))
        gc.collect()
    return next(ids), wrong + errors, time.monotonic() - began


def _answers_by_chance(number: int, examples: int) -> tuple[int, list[str], float]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, proxy_to(Liar([]), Path(folder), BRIEF) as (run, lab, liar):

        @_seeded(number, examples)
        @given(answers)
        def check(raw: bytes) -> None:
            found = run(try_answer(lab.port, liar, raw))
            assert not found, (raw, found)

        wrong = _failure_of(check)
    return examples, wrong, time.monotonic() - began


def _seeded(number: int, examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    usual = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    return lambda check: seed(number)(usual(check))


def _failure_of(check: Callable[[], None]) -> list[str]:
    try:
        check()
    except AssertionError as error:
        return [str(error)]
    return []


async def _record_errors() -> list[str]:
    return _errors_of(asyncio.get_running_loop())


if __name__ == "__main__":
    raise SystemExit(main())
