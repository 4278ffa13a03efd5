"""What `lab status` tells of a change that was made with Compose alone."""

from dataclasses import replace

import pytest

from lab.folds import History
from lab.model import Replica, Revision
from lab.operations.status import by_hand_notes
from tests.unit.test_lab_view import replica

REVISIONS = {n: Revision(number=n, version=f"v{n}", serves_as=f"v{n}", image_id="", spec="{}") for n in (1, 2)}
IDLE = History(revisions=REVISIONS, current=1, replicas=2)
ROLLING = replace(IDLE, running="r1")
OLD, NEW = replica("1.1"), replace(replica("2.2"), revision=2)


@pytest.mark.parametrize(
    ("history", "fleet", "strangers", "told"),
    [
        (IDLE, [OLD, OLD], [], []),
        (IDLE, [OLD], ["lab_app_3"], ["lab_app_3 was made by Compose, not by the lab, and gets no request: lab up"]),
        (IDLE, [], ["a", "b"], ["a, b were made by Compose"]),
        (ROLLING, [OLD, OLD], [], []),
        (ROLLING, [OLD, NEW], [], ["Compose knows v1 alone: `up -d` by hand would end 1 of 2 replicas at once"]),
    ],
)
def test_a_change_by_hand_is_told_with_what_mends_it(
    history: History, fleet: list[Replica], strangers: list[str], told: list[str]
) -> None:
    notes = by_hand_notes(history, fleet, strangers=strangers)

    assert len(notes) == len(told)
    assert all(note.startswith(start) for note, start in zip(notes, told, strict=True)), notes
