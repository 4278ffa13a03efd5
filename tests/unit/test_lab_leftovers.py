"""`lab gc`: what is provably nobody's, and all that looks like it and is somebody's."""

from typing import Any

import pytest

from lab.leftovers import (
    Left,
    abandoned_containers,
    abandoned_labs,
    left_lines,
    nameless_images,
    old_runs,
    unused_images,
)
from tests.golden_files import check

HOURS = 3600.0


def row(name: str, state: str = "running", **labels: str) -> dict[str, Any]:
    known = {"project": "com.docker.compose.project", "service": "com.docker.compose.service"}
    known["folder"] = "com.docker.compose.project.working_dir"
    keyed = {known.get(key, f"rollinglab.{key}"): value for key, value in labels.items()}
    return {"Id": f"id-{name}", "Names": [f"/{name}"], "State": state, "Labels": keyed}


HERE = {"/home/a"}


@pytest.mark.parametrize(
    ("rows", "labs"),
    [
        ([row("r", home="/home/a", project="lab-x")], []),
        ([row("r", home="/gone", project="lab-x")], ["lab-x"]),
        ([row("r", home="/gone", project="lab-x"), row("s", home="/gone", project="lab-x")], ["lab-x"]),
        ([row("proxy", part="proxy", folder="/gone/compose", project="lab-x")], ["lab-x"]),
        ([row("proxy", part="proxy", folder="/home/a/compose", project="lab-x")], []),
        ([row("theirs", folder="/gone/compose", project="lab-equipment")], []),
        ([row("theirs", home="/gone", project="shop")], []),
        ([row("run", part="app")], []),
    ],
)
def test_a_lab_is_nobody_s_when_its_checkout_is_gone_and_it_is_surely_a_lab(
    rows: list[dict[str, Any]], labs: list[str]
) -> None:
    assert [left.id for left in abandoned_labs(rows, HERE.__contains__)] == labs


@pytest.mark.parametrize(
    ("it", "left"),
    [
        (row("app_1", "created", service="app"), True),
        (row("app_1", "running", service="app"), False),
        (row("app_1", "exited", service="app"), False),
        (row("db_1", "created", service="db"), False),
        (row("app-1.2", "created", service="app", role="replica"), False),
        (row("load", "exited", role="load", run="r1"), True),
        (row("load", "running", role="load", run="r1"), False),
        (row("load", "exited", role="load", run="r2"), False),
    ],
)
def test_a_container_is_nobody_s_when_nothing_can_want_it_any_more(it: dict[str, Any], *, left: bool) -> None:
    """`r2` is the run that is not judged yet: its load's ledger is still to be read."""
    assert bool(abandoned_containers([it], service="app", going_on="r2")) is left


def image(age: float, **labels: str) -> dict[str, Any]:
    return {"Id": "sha256:3f9c12ab34cd56ef", "Created": 10 * HOURS - age, "Labels": labels or None}


@pytest.mark.parametrize(
    ("it", "left"),
    [
        (image(2 * HOURS, **{"rollinglab.part": "app"}), True),
        (image(0.5 * HOURS, **{"rollinglab.part": "app"}), False),
        (image(2 * HOURS), False),
    ],
)
def test_an_image_is_nobody_s_when_it_is_ours_nameless_and_older_than_any_build(
    it: dict[str, Any], *, left: bool
) -> None:
    assert bool(nameless_images([it], 10 * HOURS)) is left


def named(*names: str, age: float = 2 * HOURS, **labels: str) -> dict[str, Any]:
    labels = labels or {"rollinglab.part": "app"}
    return {"Id": "sha256:1", "RepoTags": list(names), "Created": 10 * HOURS - age, "Labels": labels}


@pytest.mark.parametrize(
    ("it", "left"),
    [
        (named("rollinglab-app:1"), ["rollinglab-app:1"]),
        (named("rollinglab-app:1", "rollinglab-app:2"), ["rollinglab-app:1", "rollinglab-app:2"]),
        (named("rollinglab-app:1", age=0.5 * HOURS), []),
        (named("rollinglab-app:1", "shop:1.0"), []),  # somebody has named it, so that it is theirs
        (named("shop:1.0"), []),
        (named("rollinglab-python:1", other="label"), []),
        (named("<none>:<none>"), []),
    ],
)
def test_an_image_is_nobody_s_when_it_is_ours_by_label_and_name_and_no_lab_needs_it(
    it: dict[str, Any], left: list[str]
) -> None:
    def found(used: str = "", wanted: str = "") -> list[str]:
        needed = {"used": frozenset({used}), "wanted": frozenset({wanted})}
        return [one.id for one in unused_images([it], **needed, now=10 * HOURS, age=HOURS)]

    assert found() == left
    assert found(used="sha256:1") == []
    assert found(wanted="rollinglab-app:1") == []


def test_runs_go_when_they_are_old_and_neither_the_last_nor_under_way() -> None:
    runs = {"20261101-a": 0.0, "20261102-b": 1 * HOURS, "20261103-c": 9 * HOURS, "20261104-d": 2 * HOURS}

    left = old_runs(runs, going_on=frozenset({"20261102-b"}), now=50 * HOURS, age=42 * HOURS)

    assert [(one.kind, one.id, one.why) for one in left] == [("run", "20261101-a", "ended 2 days ago")]
    assert old_runs({}, going_on=frozenset(), now=0, age=0) == []


def test_what_is_left_reads_as_its_golden_file() -> None:
    found = [
        Left(kind="container", name="lab-default_app_1", id="1", why="made for a revision, and never started"),
        Left(kind="lab", name="lab-ci-7", id="2", why="its checkout /builds/7 is gone"),
        Left(kind="image", name="rollinglab-app:0f2c", id="3", why="no lab uses it, made 3 days ago"),
    ]
    parts = [left_lines(found, removed=False), left_lines(found[:1], removed=True), left_lines([], removed=True)]

    check("lab/gc", "\n\n".join("\n".join(lines) for lines in parts) + "\n")
