"""`lab simulate --ask`: an operator's words at their times, on virtual time."""

import pytest

from lab.cli import main
from lab.errors import UsageError
from lab.model import Asked, Command, Ending, RolloutSpec
from lab.sim.asks import asks_of
from lab.sim.run import Simulated, Simulation, simulate

SPEC = RolloutSpec(target=2, replicas=6, surge=1, unavailable=0, back_to=1)


def simulated(*asks: str) -> Simulated:
    return simulate(Simulation(source="v1", target="v2", spec=SPEC, asks=asks_of(asks)))


def words(done: Simulated) -> list[tuple[str, str]]:
    events = done.journal.events(types=["phase-changed", "scaled", "refused"])
    return [(e.type, e.data.get("happening", e.data.get("why", ""))) for e in events if e.data["answers"] is not None]


def test_a_word_is_read_with_its_time() -> None:
    read = asks_of(["pause@10s", "scale@1m=5", "resume@500ms"])

    assert read[10.0] == Asked(number=1, command=Command.PAUSE)
    assert read[60.0] == Asked(number=2, command=Command.SCALE, replicas=5)
    assert read[0.5].command is Command.RESUME


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sleep@3s", "it is none of"),
        ("pause", "it is none of"),
        ("pause@soon", "soon"),
        ("scale@3s", "to how many"),
        ("scale@3s=0", "it is none of"),
        ("abort@3s=4", "to how many"),
    ],
)
def test_what_is_no_word_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError) as told:
        asks_of([text])
    assert (told.value.id, why in told.value.what) == ("ask", True)


def test_two_words_at_one_time_are_refused() -> None:
    with pytest.raises(UsageError):
        asks_of(["pause@3s", "abort@3s"])


def test_a_pause_lasts_until_it_is_resumed() -> None:
    plain, paused = simulated(), simulated("pause@4s", "resume@34s")

    assert (plain.ended.ending, paused.ended.ending) == (Ending.DONE, Ending.DONE)
    assert 25 < paused.seconds - plain.seconds < 35
    assert words(paused) == [("phase-changed", "paused"), ("phase-changed", "resumed")]


def test_who_is_paused_and_hears_no_more_ends_paused() -> None:
    assert simulated("pause@4s").ended.ending is Ending.PAUSED
    forgotten = simulated("rollback@4s", "pause@4500ms", "rollback@9s")
    assert forgotten.ended.ending is Ending.PAUSED
    assert words(forgotten)[-1][0] == "refused"


def test_a_fleet_is_scaled_rolled_back_and_given_up_at_a_word() -> None:
    assert len(simulated("scale@5s=9").replicas) == 9
    back = simulated("rollback@6s")
    assert (back.ended.ending, {r.version for r in back.replicas}) == (Ending.ROLLED_BACK, {"v1"})
    assert simulated("abort@6s").ended.ending is Ending.ABORTED


def test_the_command_takes_words_and_the_same_words_give_the_same_journal(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["simulate", "v2", "--replicas", "6", "--ask", "pause@4s", "--ask", "resume@20s"]
    assert main(command) == 0
    once = capsys.readouterr().out
    assert main(command) == 0

    assert capsys.readouterr().out == once
    assert main(["simulate", "v2", "--ask", "pause"]) == 2
