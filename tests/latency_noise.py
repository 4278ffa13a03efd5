"""Latencies as a busy machine makes them: waves that last for seconds, stalls that hit all, and a heavy tail."""

import math
import random
from collections.abc import Iterator, Sequence

from lab.proof.answers import Answer
from lab.proof.records import Service

SECOND = 1_000_000_000
REPLICAS = 3
SERVICES = tuple(Service(replica=f"app-{slot}.2", from_ns=slot * 2 * SECOND) for slot in range(1, REPLICAS + 1))
"""A replica of the new version every two seconds; the old one in its slot goes."""
FIRST_WAVE = (SERVICES[0], *(Service(replica=service.replica, from_ns=2**62) for service in SERVICES[1:]))
"""One of the new version, and the others wait for what a gate says of it."""


def roll(
    seed: int,
    *,
    slower: float = 1.0,
    rate: int = 300,
    seconds: float = 7.0,
    base_ms: float = 8.0,
    services: Sequence[Service] = SERVICES,
) -> list[Answer]:
    """The answers from the old fleet's last second to the new fleet's first; `slower` multiplies the new version's."""
    since = [service.from_ns for service in services]
    return list(_answers(random.Random(seed), [slower, base_ms], rate, seconds, since))


def _answers(
    rng: random.Random, pace: Sequence[float], rate: int, seconds: float, since: Sequence[int]
) -> Iterator[Answer]:
    slower, base_ms = pace
    wave = 0.0
    stall_until = stall_ns = 0
    for number in range(int(rate * seconds)):
        due = SECOND + number * SECOND // rate
        # AR(1) that forgets within about a second: what neighbours on the machine do
        forgets = 1 / rate
        wave += -wave * forgets + rng.gauss(0, 0.5) * math.sqrt(2 * forgets)
        if rng.random() < 0.4 / rate:
            stall_ns = int(rng.uniform(20, 150) * 1e6)
            stall_until = due + stall_ns
        slot = rng.randrange(REPLICAS)
        new = due >= since[slot]
        took = base_ms * math.exp(wave + rng.gauss(0, 0.35))
        if rng.random() < 0.03:
            took *= rng.paretovariate(1.5)
        took_ns = int(took * 1e6 * (slower if new else 1.0)) + max(0, stall_until - due)
        yield Answer(due_ns=due, took_ns=took_ns, replica=f"app-{slot + 1}.{2 if new else 1}")
