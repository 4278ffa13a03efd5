"""An attempt that the proxy wrote in one line is the same attempt as one written in two."""

from typing import Any

from lab.proof import read_proxy
from tests.unit.proof_world import good, good_write, ledger, tell


def merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write every begin and its end as one line, where the end stood."""
    begins = {(row["id"], row["attempt"]): row for row in rows if row["e"] == "begin"}
    found = []
    for row in rows:
        if row["e"] == "end":
            begin = begins[row["id"], row["attempt"]]
            found.append({**begin, **row, "e": "attempt", "t": begin["t"], "t_end": row["t"]})
        elif row["e"] != "begin":
            found.append(row)
    return found


def test_one_line_or_two_is_the_same_ledger_and_the_same_verdict() -> None:
    world = tell(good(), good_write(), good())
    before, verdict = read_proxy(ledger(world.proxy)), world.verdict()
    world.proxy = merged(world.proxy)
    after = read_proxy(ledger(world.proxy))
    assert {row["e"] for row in world.proxy} == {"header", "attempt", "footer"}
    assert (after.attempts, after.begins, after.footer_attempts) == (
        before.attempts,
        before.begins,
        before.footer_attempts,
    )
    assert world.verdict() == verdict


def test_a_line_written_twice_counts_once() -> None:
    world = tell(good())
    rows = merged(world.proxy)
    twice = read_proxy(ledger([rows[0], rows[1], rows[1], rows[2]]))
    assert (twice.begins, twice.reading.duplicates) == (1, 1)
