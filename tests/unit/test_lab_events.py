"""The journal's events fit their schema, whatever way a roll goes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from lab.model import Asked, Command, Container, RolloutSpec, Verb
from lab.operations.account import Account, account_from_json, account_to_json
from lab.ports import Event
from lab.proof import Command as Rolled
from lab.sim import Behaviour
from lab.spec_codec import spec_to_json
from tests.unit.rollout_world import V1, V2, Bench, Crash

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/schemas/events.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
NEVER, DIES = Behaviour(ready_after=None), Behaviour(ready_after=None, dies_after=100)


def well() -> Bench:
    return rolled(Bench(n=3, surge=2, unavailable=1))


def never_ready() -> Bench:
    return rolled(Bench(n=2, behaviours={"v2": NEVER}))


def dies_at_once() -> Bench:
    return rolled(Bench(n=2, surge=0, unavailable=1, behaviours={"v2": DIES}))


def killed_and_out_of_memory() -> Bench:
    return rolled(Bench(n=3, kills={3: 2, 9: 1}))


def impatient() -> Bench:
    return rolled(Bench(n=2, wait_for_drain=False))


def taken_away() -> Bench:
    """The container of a replica in rotation is removed by somebody else."""
    bench = Bench(n=2).up()
    bench.world._set("app-2.1", container=Container.EXITED, container_id="")
    return rolled(bench, up=False)


def turned_by_hand() -> Bench:
    """Killed while the first replica drains, and rolled back instead of on."""
    bench = Bench(n=2, surge=0, unavailable=2, crash_at=2).up()
    with pytest.raises(Crash):
        bench.roll(V2, V1)
    bench.roll(V1, None)
    return bench


def resumed() -> Bench:
    bench = Bench(n=2, crash_at=2).up()
    with pytest.raises(Crash):
        bench.roll(V2, V1)
    return rolled(bench, up=False)


def commanded() -> Bench:
    """Paused, asked for what cannot be, and let go on with a larger fleet, while the machine sleeps."""
    asks = [
        Asked(number=1, command=Command.PAUSE),
        Asked(number=2, command=Command.PAUSE),
        Asked(number=3, command=Command.SCALE, replicas=4),
        Asked(number=4, command=Command.RESUME),
    ]
    bench = Bench(n=2, linger=True, asks=dict(enumerate(asks, 3))).up()

    def sleep() -> None:
        bench.on_look()
        bench.world.skew_ns += 10**12 if bench.looks == 9 else 0

    bench.world.on_look = sleep
    return rolled(bench, up=False)


def refused() -> Bench:
    """A replica dies between the look and its retirement."""
    bench = Bench(n=1).up()

    def doom(verb: Verb, name: str) -> None:
        if (verb, name) == (Verb.RETIRE, "app-1.1"):
            bench.world.kill(name)
        bench.on_act(verb, name)

    bench.world.on_act = doom
    return rolled(bench, up=False)


def rolled(bench: Bench, *, up: bool = True) -> Bench:
    (bench.up() if up else bench).roll(V2, V1)
    return bench


WAYS = (
    well,
    never_ready,
    dies_at_once,
    killed_and_out_of_memory,
    impatient,
    taken_away,
    turned_by_hand,
    resumed,
    refused,
    commanded,
)


def lines(bench: Bench) -> Iterator[dict[str, object]]:
    """As events.jsonl holds them."""
    yield from (json.loads(json.dumps(asdict(event))) for event in bench.journal.events())


@pytest.mark.parametrize("way", WAYS)
def test_every_event_of_a_roll_fits_the_schema(way: Callable[[], Bench]) -> None:
    bench = way()
    found = list(lines(bench))

    for line in found:
        VALIDATOR.validate(line)
        known = SCHEMA["$defs"][line["type"]]["properties"]
        assert set(line["data"]) <= set(known), f"{line['type']} says more than the schema tells"
    assert found


def test_the_ways_show_every_event_and_every_outcome_that_the_controller_writes() -> None:
    every = [line for way in WAYS for line in lines(way())]

    assert {line["type"] for line in every} == {
        "act-intended",
        "act-done",
        "replica-died",
        "version-failed",
        "turned-back",
        "try-failed",
        "phase-changed",
        "asked",
        "scaled",
        "refused",
        "looked-away",
    }
    assert {line["data"]["verb"] for line in every if line["type"] == "act-done"} == set(Verb)
    assert {"refused", "container", "epoch", "aborted", "cut"} <= {key for line in every for key in line["data"]}


# what the shell writes around the controller, as it writes it
WRITTEN: dict[str, dict[str, object]] = {
    "revision-recorded": {"number": 1, "version": "v1", "serves_as": "v1", "image_id": "sha256:0", "spec": "{}"},
    "rollout-started": {
        "kind": "roll",
        "from": None,
        "to": "v2",
        "target": 2,
        "replicas": 3,
        "spec": spec_to_json(RolloutSpec(target=2, replicas=3, surge=1, unavailable=0)),
    },
    "rollout-ended": {"ending": "rolled-back", "reason": "r", "where": "w", "reached": 1},
    "rollout-paused": {"ending": "interrupted", "reason": "", "where": "", "reached": None},
    "schema-step": {"phase": "expanded", "what": "begins"},
    "mix-seen": {"fault": "stale", "writer": "v2", "reader": "v1", "count": 3},
    "load-started": {"rate": 99.5, "replicas": 3, "seed": 1},
    "lab-removed": {"removed": 7},
    "versions-given-up": {"phase": "contracted", "versions": ["v1"], "revisions": [1], "forced": None},
    "rollout-resumed": {"pid": 7},
    "run-ended": {"outcome": "pass", "exit_code": 0},
}


def test_what_a_run_is_told_as_fits_the_schema_and_comes_back_as_it_was() -> None:
    spec = RolloutSpec(target=2, replicas=3, surge=1, unavailable=0, back_to=1)
    account = Account(command=Rolled.ROLL, from_version="v1", to_version="v2", spec=spec, steps=("expanded",))
    line = json.loads(json.dumps(line_of("run-started", account_to_json(account))))

    VALIDATOR.validate(line)
    assert set(line["data"]) <= set(SCHEMA["$defs"]["run-started"]["properties"])
    assert account_from_json(line["data"]) == account


def line_of(type: str, data: dict[str, object]) -> dict[str, object]:
    return asdict(Event(seq=1, type=type, run="r", t_ns=1, wall="", data=data))


@pytest.mark.parametrize("type", WRITTEN)
def test_what_is_written_around_a_roll_fits_the_schema(type: str) -> None:
    VALIDATOR.validate(line_of(type, WRITTEN[type]))


@pytest.mark.parametrize("type", WRITTEN)
def test_an_event_without_one_of_its_words_does_not(type: str) -> None:
    for key in WRITTEN[type]:
        with pytest.raises(ValidationError):
            VALIDATOR.validate(line_of(type, {k: v for k, v in WRITTEN[type].items() if k != key}))


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("rollout-ended", {"ending": "interrupted"}),
        ("rollout-paused", {"ending": "done"}),
        ("schema-step", {"what": "fails"}),
        ("rollout-started", {"kind": "jump"}),
    ],
)
def test_a_word_that_is_none_of_the_schema_s_does_not_fit(type: str, change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(line_of(type, WRITTEN[type] | change))


def test_an_unknown_event_does_not_fit() -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(line_of("act-wondered", {}))


def test_the_schema_names_every_verb_and_is_itself_sound() -> None:
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$id"] == "lab.events/1"
    for type in ("act-intended", "act-done"):
        assert SCHEMA["$defs"][type]["properties"]["verb"]["enum"] == [verb.value for verb in Verb]
    assert set(SCHEMA["properties"]["type"]["enum"]) == set(SCHEMA["$defs"]) - {"replica", "log"}
