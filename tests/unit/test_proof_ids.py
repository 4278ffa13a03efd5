"""Ids as rows: whatever they look like, two are never taken for one, and each is found again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.proof import Ids, read_app, read_client, read_proxy
from lab.proof.ids import NONE
from lab.proof.join import Joined, join
from tests.unit.proof_world import Story, Try, good, good_write, ledger, tell

NUMBERS = st.sampled_from(
    ["1", "01", "+1", "1_0", "10", "\u0661", "-1", " 1", "", "900000000", "1" * 30, "100001", "99999"]
)
PREFIXES = st.sampled_from(["r-read", "r-write", "r", "", "r-read-1", "-"])
LIKELY = st.builds(lambda prefix, number: f"{prefix}-{number}", PREFIXES, NUMBERS)


@settings(max_examples=300)
@given(st.lists(st.one_of(LIKELY, st.text(max_size=8)), max_size=40))
def test_each_id_has_one_row_and_each_row_its_id(requests: list[str]) -> None:
    ids = Ids()
    rows = [ids.row(request) for request in requests]
    assert [ids.name(row) for row in rows] == requests
    assert [ids.find(request) for request in requests] == rows
    assert [ids.row(request) for request in requests] == rows
    assert sorted(set(rows)) == list(range(len(set(requests))))
    assert len(ids) == len(set(requests))
    assert ids.find("never-seen-7") == NONE


def test_an_id_that_came_before_its_number_was_within_reach_keeps_its_row() -> None:
    ids = Ids()
    far = ids.row("r-read-400000")
    for number in range(80_000):
        ids.row(f"r-read-{number}")
    other = ids.row("r-write-400000")
    assert ids.row("r-read-400000") == far == ids.find("r-read-400000")
    assert ids.find("r-write-400000") == other != far


def said(one: Joined) -> tuple[object, ...]:
    """All of it but where it stands."""
    who = one.id, one.offer, one.end
    return *who, one.attempts, one.rejects, one.visits, one.executions, one.sql_error, one.unwritten, one.lossy


def test_ledgers_read_apart_are_joined_as_those_read_together() -> None:
    killed = Try(result="closed_before_response", answered=False)
    world = tell(
        good(), good_write(), Story(tries=(killed, Try(replica="app-2.1"))), Story(outcome=None), good_write(7)
    )
    found = []
    for ids in (None, Ids()):
        client = read_client(ledger(world.client), ids)
        proxy = read_proxy(ledger(world.proxy), ids)
        logs = [read_app(name, lines, ids) for name, lines in world.app_bytes().items()]
        found.append(list(join(client, proxy, logs, world.executions)))
    assert list(map(said, found[0])) == list(map(said, found[1]))
    assert [len(one.attempts or ()) for one in found[0]] == [1, 1, 2, 0, 1]
    assert [len(one.visits) for one in found[0]] == [1, 1, 2, 0, 1]
    assert [len(one.executions or ()) for one in found[0]] == [0, 1, 0, 0, 1]


def test_the_views_say_of_each_id_what_its_ledger_says() -> None:
    world = tell(good(), Story(outcome=None), good_write(3))
    client = read_client(ledger(world.client))
    assert list(client.offers) == ["r1-read-0", "r1-read-1", "r1-write-2"]
    assert list(client.ends) == ["r1-read-0", "r1-write-2"]
    assert (len(client.offers), len(client.ends)) == (3, 2)
    assert client.ends["r1-write-2"].ack == 3
    assert client.ends.get("r1-read-1") is None
    assert "r1-read-9" not in client.offers
    proxy = read_proxy(ledger(world.proxy))
    assert dict(proxy.attempts).keys() == {"r1-read-0", "r1-write-2"}
