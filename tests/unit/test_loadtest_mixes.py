"""Each thing that two versions can do to each other's data has one name, and names the pair."""

import json

import pytest

from loadtest.mixes import Fault, Mix, Truth
from loadtest.oracle import Expected, Judgement, judge
from loadtest.parcels import Known, Stored, check_page, check_reading, check_shape, check_truth
from loadtest.tally import Tally, figures_from_json, figures_to_json
from tests.unit.test_loadtest_oracle import PARCEL, reply, seal

PLAIN = {"key": "k", "recipient_name": "Zoë Müller", "address": "1 Harbour Street"}
DOUBLE = {**PLAIN, "recipient_name": "Mary Ann Lee", "first_name": "Mary Ann", "last_name": "Lee"}
SHOWN_1 = {"id": 7, **PLAIN, "status": "registered"}
SHOWN_2 = {**SHOWN_1, "first_name": "Zoë", "last_name": "Müller"}
RENAMED = {"recipient_name": "Ada Hopper"}

Step = tuple[str, str, dict[str, object]]
"""(write or read, version, the body or the answer)."""

CASES: dict[str, tuple[list[Step], Mix | None]] = {
    "a plain write reads back in both versions' words": (
        [("write", "v1", PLAIN), ("read", "v1", SHOWN_1), ("read", "v2", SHOWN_2)],
        None,
    ),
    "V2 wrote the new columns only, and V1 reads the old name": (
        [("write", "v1", PLAIN), ("read", "v1", SHOWN_1), ("write", "v2", RENAMED), ("read", "v1", SHOWN_1)],
        Mix(fault=Fault.STALE, writer="v2", field="recipient_name"),
    ),
    "V1 wrote the old column only, and V2 reads the old names": (
        [("write", "v2", PLAIN), ("write", "v1", RENAMED), ("read", "v2", SHOWN_2)],
        Mix(fault=Fault.STALE, writer="v1", field="recipient_name"),
    ),
    "V2 finds nothing where V1 wrote": (
        [("write", "v1", PLAIN), ("read", "v2", {**SHOWN_2, "first_name": None, "last_name": None})],
        Mix(fault=Fault.NULL, writer="v1", field="first_name"),
    ),
    "an empty text is nothing as well": (
        [("write", "v2", PLAIN), ("read", "v1", {**SHOWN_1, "recipient_name": ""})],
        Mix(fault=Fault.NULL, writer="v2", field="recipient_name"),
    ),
    "what V1 had seen is overwritten by what was there before": (
        [
            ("write", "v1", PLAIN),
            ("write", "v1", RENAMED),
            ("read", "v1", {**SHOWN_1, **RENAMED}),
            ("read", "v1", SHOWN_1),
        ],
        Mix(fault=Fault.LOST, writer="v1", field="recipient_name"),
    ),
    "a value that nobody ever wrote": (
        [("write", "v1", PLAIN), ("read", "v1", {**SHOWN_1, "address": "nowhere"})],
        Mix(fault=Fault.LOST, writer="v1", field="address"),
    ),
    "V1 changes the address, and the names that only V2 knows are split anew": (
        [
            ("write", "v2", DOUBLE),
            ("read", "v2", {**SHOWN_2, **DOUBLE}),
            ("write", "v1", {"address": "2"}),
            ("read", "v2", {**SHOWN_2, **DOUBLE, "address": "2", "first_name": "Mary", "last_name": "Ann Lee"}),
        ],
        Mix(fault=Fault.STRIPPED, writer="v1", field="first_name"),
    ),
    "V1 changes the address, and what it had written for V2 too is gone before V2 looked": (
        [
            ("write", "v1", PLAIN),
            ("write", "v1", {"address": "2"}),
            ("read", "v2", {**SHOWN_2, "address": "2", "first_name": "-"}),
        ],
        Mix(fault=Fault.STRIPPED, writer="v1", field="first_name"),
    ),
    "a field that this version's answers lack": (
        [("write", "v1", PLAIN), ("read", "v2", SHOWN_1)],
        Mix(fault=Fault.SHAPE, writer="v1", field="first_name"),
    ),
    "a field of another type": (
        [("write", "v1", PLAIN), ("read", "v1", {**SHOWN_1, "address": 1})],
        Mix(fault=Fault.SHAPE, writer="v1", field="address"),
    ),
    "V1 has no use for the parts of a name: they come out of its own": (
        [
            ("write", "v1", DOUBLE),
            ("read", "v2", {**SHOWN_2, **DOUBLE, "first_name": "Mary", "last_name": "Ann Lee"}),
        ],
        None,
    ),
    "the same written again is no new value": (
        [("write", "v1", PLAIN), ("write", "v2", {"recipient_name": "Zoë Müller"}), ("read", "v1", SHOWN_1)],
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reading_is_held_against_all_that_was_written(name: str) -> None:
    steps, expected = CASES[name]
    truth = Truth()
    found = None
    for verb, version, data in steps:
        assert found is None, "only the last reading is wrong"
        if verb == "write":
            truth.wrote(version, {key: str(value) for key, value in data.items()})
        else:
            found = truth.read(version, data)

    assert (found[0] if found else None) == expected


def test_every_fault_of_a_value_is_among_the_cases() -> None:
    shown = {mix.fault for _, mix in CASES.values() if mix}
    assert shown == set(Fault) - {Fault.ERROR, Fault.DUP_MISS}


def stored(id: int, writer: str) -> Stored:
    truth = Truth()
    truth.wrote(writer, PLAIN)
    return Stored(id=id, key="k", truth=truth)


def judged(body: bytes, *, status: int = 200, writer: str | None = "v2", **headers: str) -> Judgement:
    statuses = frozenset({200})
    return judge(
        reply(body, status=status, **headers),
        Expected(request_id="r-1", statuses=statuses, check=check_shape, writer=writer),
    )


def test_an_error_of_the_database_and_a_refusal_are_the_mixs_and_an_answer_of_the_proxy_is_not() -> None:
    error = seal({"code": "42703", "message": "no"}, part="error")
    assert judged(error, status=500, x_lab_error="42703 no").mix == Mix(fault=Fault.ERROR, writer="v2")
    assert judged(error, status=404, writer=None).mix == Mix(fault=Fault.ERROR)
    assert judged(error, status=500).mix is None  # a bug of the app's own, which no mix explains
    assert judged(b"", status=503, x_lab_proxy="no-ready-replica").mix is None


def test_a_good_answer_says_whose_write_it_read() -> None:
    found = judged(seal(PARCEL))
    assert (found.mix, found.writer) == (None, "v2")


def test_a_null_is_told_from_a_wrong_shape() -> None:
    assert judged(seal({**PARCEL, "address": None})).mix == Mix(fault=Fault.NULL, writer="v2", field="address")
    assert judged(seal({**PARCEL, "address": 5})).mix == Mix(fault=Fault.SHAPE, writer="v2", field="address")


def test_a_parcel_that_is_twice_in_a_list_or_missing_from_it_names_who_wrote_it() -> None:
    first = stored(5, "v2")
    items = [{**PARCEL, "id": number} for number in (6, 7)]
    missing = check_page({"items": items, "next": None}, "v1", after=4, limit=3, first=first)
    twice = check_page({"items": [items[0], items[0]], "next": None}, "v1", after=4, limit=3)
    assert missing is not None
    assert missing.mix == Mix(fault=Fault.DUP_MISS, writer="v2")
    assert twice is not None
    assert twice.mix == Mix(fault=Fault.DUP_MISS)


def test_a_null_in_a_list_names_who_wrote_that_row() -> None:
    known = Known()
    known.add(stored(6, "v1"))
    page = {"items": [{**PARCEL, "id": 6, "address": None}], "next": None}
    found = check_page(page, "v1", after=4, limit=3, writer_of=known.writer_of)
    assert found is not None
    assert found.mix == Mix(fault=Fault.NULL, writer="v1", field="address")


def test_another_parcel_than_the_one_that_was_asked_for_is_a_second_one() -> None:
    same = stored(8, "v1")
    found = check_truth({**SHOWN_1, "id": 9}, "v1", same=same, truth=Truth())
    assert found is not None
    assert found.mix == Mix(fault=Fault.DUP_MISS, writer="v1", field="id")


def test_a_reading_is_held_against_the_truth_only_if_no_write_was_under_way_meanwhile() -> None:
    parcel = stored(7, "v1")
    old, since = {**SHOWN_1, "recipient_name": "Old Name"}, parcel.changes
    assert check_reading(old, "v1", same=parcel, since=since) is not None
    parcel.begin()
    assert check_reading(old, "v1", same=parcel, since=since) is None
    assert check_reading(old, "v1", same=parcel, since=parcel.changes) is None
    parcel.end(acknowledged=True)
    assert check_reading(old, "v1", same=parcel, since=since) is None
    assert check_reading(old, "v1", same=parcel, since=parcel.changes) is not None


def test_a_write_of_which_nothing_is_known_leaves_no_truth_behind() -> None:
    parcel = stored(7, "v1")
    parcel.begin()
    parcel.end(acknowledged=False)
    assert check_reading({**SHOWN_1, "recipient_name": "?"}, "v1", same=parcel, since=parcel.changes) is None
    assert check_reading({**SHOWN_1, "id": 9}, "v1", same=parcel, since=parcel.changes) is not None
    assert parcel.writer is None


def test_what_several_processes_saw_adds_up_and_comes_back_from_its_json() -> None:
    parts = []
    for times in (1, 2):
        tally = Tally()
        for _ in range(times):
            tally.mixed(Mix(fault=Fault.STALE, writer="v2"), reader="v1")
        tally.mixed(Mix(fault=Fault.ERROR), reader="v2")
        parts.append(figures_from_json(json.loads(json.dumps(figures_to_json(tally.figures(0))))))

    assert dict((parts[0] + parts[1]).mixes) == {"v2 v1 stale": 3, "- v2 error": 2}
