"""Who owns a lab, and when it is surely nobody's: what clean-up may ever remove."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.ownership import COMPOSE_PROJECT, LABEL, Machine, is_gone, orphaned, owner_of_text, owner_to_text
from lab.ports import Owner

LIVE = {7: "70", 8: "80"}
HERE = Machine(host="here", boot="b1", start_of=LIVE.get)


def owner(**changes: Any) -> Owner:
    return Owner(**{"host": "here", "boot": "b1", "pid": 7, "start": "70", "command": "", "home": "", **changes})


owners = st.builds(
    owner,
    host=st.sampled_from(["here", "elsewhere"]),
    boot=st.sampled_from(["b1", "b0"]),
    pid=st.sampled_from([7, 8, 9]),
    start=st.sampled_from(["70", "80", "90"]),
)


@given(owners)
def test_an_owner_is_gone_only_from_its_own_host_and_when_no_such_process_of_this_boot_lives(it: Owner) -> None:
    lives = it.boot == "b1" and LIVE.get(it.pid) == it.start

    assert is_gone(it, HERE) is (it.host == "here" and not lives)


@given(owners)
def test_an_owner_comes_back_from_its_label_as_it_was(it: Owner) -> None:
    assert owner_of_text(owner_to_text(it)) == it


@pytest.mark.parametrize(
    "text", ["", "here", "here/b1/7", "here/b1/seven/70", "here/b1/7/70/more", "//7/70", "here/b1//70"]
)
def test_what_no_lab_has_written_is_nobody_s_label(text: str) -> None:
    assert owner_of_text(text) is None


projects = st.sampled_from(["lab-a", "lab-b", "shop", ""])
things = st.lists(st.tuples(projects, st.one_of(st.just(""), st.just("odd"), owners.map(owner_to_text))), max_size=8)


@given(things)
def test_a_lab_is_swept_whole_and_only_when_nothing_of_it_has_an_owner_who_may_live(
    made: list[tuple[str, str]],
) -> None:
    found = orphaned([{COMPOSE_PROJECT: project, LABEL: label} for project, label in made], HERE)

    known = [(project, owner_of_text(label)) for project, label in made]
    for project in {project for project, _ in made}:
        its = [it for name, it in known if name == project and it is not None]
        assert (project in found) is (project.startswith("lab-") and bool(its) and all(is_gone(it, HERE) for it in its))


def test_a_start_with_slashes_in_it_is_still_one_word() -> None:
    """As a `ps` of another system may tell it."""
    assert owner_of_text(owner_to_text(owner(start="Sat 28/11 13:00"))) == owner(start="Sat 28-11 13:00")
