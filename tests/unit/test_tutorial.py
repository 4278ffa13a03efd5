"""A page's outputs are held against what is said: numbers and counts may differ, words may not."""

import pytest

from tests.tutorial import fits, steps_of, written_anew

PAGE = "Text.\n\n```sh\nlab up   # exit 3\nlab down\n```\n\n```text\nold\n```\n\n```sh\nlab status\n```\n"


def test_a_page_is_read_as_commands_and_what_they_print_together() -> None:
    (step,) = steps_of(PAGE)
    assert (step.commands, step.output) == (("lab up   # exit 3", "lab down"), "old\n")
    assert written_anew(PAGE, ["new\n"]) == PAGE.replace("old", "new")


@pytest.mark.parametrize(
    ("said", "page", "same"),
    [
        ("v1 -> v2 done in 12.1s - 0 dropped of 1 203\n", "v1 -> v2 done in 5.9s - 0 dropped of 987\n", True),
        ("v1 -> v2 done\n", "v1 -> v3 done\n", False),
        ("3 replicas\n", "2 replicas ready\n", False),
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("a\nb\n", "a\n...\nc\n", False),
        ("done (p50 4 ms), 3 cut\n", "done …\n", True),
        ("failed\n", "done …\n", False),
        ("lab-x  ready   1.1s\n", "lab-x     ready 1.1s\n", False),
        ("lab-x  ready   1.1s\n", "lab-x     ready  12.5s\n", True),
        ("run 20260102-030405-v1-v2\n", "run 20991231-000000-v1-v2-3\n", True),
    ],
)
def test_numbers_may_differ_and_words_may_not(said: str, page: str, same: bool) -> None:
    assert fits(said, page) is same
