"""How a rollout is to go: flags over the environment over the manifest, and the same refusals wherever it is asked."""

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lab.cli import _commands, _shape, main
from lab.errors import LabError
from lab.folds import History
from lab.manifest import Manifest, read_manifest
from lab.model import OnFail, Order, Revision, RolloutSpec, Strategy
from lab.operations import roll as rolling
from lab.operations.request import RollRequest
from lab.operations.shape import MOST_REPLICAS, refuse_shape, spec_of
from lab.operations.simulate import Question, plan
from lab.proof import Command
from lab.shape import Shape

MANIFEST = replace(read_manifest(Path(__file__).parents[2] / "compose/lab.yaml"), schema_plan=None)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command beside a checkout whose manifest shapes its rolls, and no engine."""
    (tmp_path / "compose").mkdir()
    text = (
        "services: {app: {image: x, deploy: {replicas: 4, update_config: {parallelism: 2, order: stop-first, "
        "max_failure_ratio: 0.5}}, x-lab: {retries: 3, versions: {v1: , v2: }}}}"
    )
    (tmp_path / "compose/lab.yaml").write_text(text)
    monkeypatch.setattr("lab.project.checkout", lambda: tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    for name in _shape.OPTIONS:
        monkeypatch.delenv(f"LAB_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def budgets(done: tuple[int, str, str]) -> tuple[str, int, int]:
    assert done[0] == 0, done[2]
    made = json.loads(done[1])
    return made["strategy"], made["surge"], made["unavailable"]


@pytest.mark.parametrize(
    ("flags", "environment", "expected"),
    [
        ([], {}, ("waves", 0, 2)),
        (["--order", "start-first"], {}, ("waves", 2, 0)),
        (["--batch", "3"], {}, ("waves", 0, 3)),
        ([], {"LAB_BATCH": "1"}, ("waves", 0, 1)),
        (["--batch", "3"], {"LAB_BATCH": "1", "LAB_ORDER": "start-first"}, ("waves", 3, 0)),
        (["--max-surge", "1"], {}, ("rolling", 1, 0)),
        ([], {"LAB_MAX_SURGE": "1"}, ("rolling", 1, 0)),
        (["--max-unavailable", "1"], {"LAB_MAX_SURGE": "2"}, ("rolling", 2, 1)),
        (["--like", "recreate"], {"LAB_ORDER": "start-first", "LAB_BATCH": "x"}, ("recreate", 0, 4)),
        (["--like", "kubernetes"], {"LAB_MAX_SURGE": "3"}, ("rolling", 1, 1)),
        (["--batch", "1"], {"LAB_LIKE": "recreate"}, ("waves", 0, 1)),
        ([], {"LAB_LIKE": "recreate"}, ("recreate", 0, 4)),
        ([], {"LAB_BATCH": ""}, ("waves", 0, 2)),
    ],
)
def test_a_flag_counts_before_the_environment_and_that_before_the_manifest(
    lab: Run,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    environment: dict[str, str],
    expected: tuple[str, int, int],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert budgets(lab("plan", "v2", "--json", *flags)) == expected


def test_a_manifest_s_gates_are_lifted_and_replaced_from_outside(lab: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("compose/lab.yaml")
    path.write_text(path.read_text().replace("retries: 3", "gates: [error-ratio=5%]"))

    def bad_answers() -> float | None:
        notices = json.loads(lab("plan", "v2", "--json", "--bake", "10s", *flags)[1])["notices"]
        return next(notice["seconds"] for notice in notices if "answers errors" in notice["bad"])

    flags: list[str] = []
    assert bad_answers() is not None
    flags = ["--gate", "none"]
    assert bad_answers() is None
    flags = []
    monkeypatch.setenv("LAB_GATE", "unready-ratio=0%")
    assert bad_answers() is None
    monkeypatch.setenv("LAB_GATE", "unready-ratio=0% error-ratio=1%")
    assert bad_answers() is not None


def test_the_manifest_s_batch_is_all_of_a_smaller_fleet(lab: Run) -> None:
    assert budgets(lab("plan", "v2", "--replicas", "1", "--json")) == ("waves", 0, 1)
    assert lab("plan", "v2", "--replicas", "1", "--batch", "2")[0] == 2


@pytest.mark.parametrize("command", ["roll", "plan", "simulate"])
@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        (["--batch", "x"], {}, "--batch: 'x' is neither a number nor a percentage   [amount]"),
        ([], {"LAB_BATCH": "x"}, "LAB_BATCH: 'x' is neither a number nor a percentage   [amount]"),
        (["--max-surge", "1" + "0" * 400], {}, "[amount]"),
        (["--bake", "soon"], {}, "--bake: 'soon' is not a duration such as"),
        ([], {"LAB_BAKE": "soon"}, "LAB_BAKE: 'soon' is not a duration such as"),
        (["--progress-timeout", "0s"], {}, "--progress-timeout: 0s leaves no time at all   [duration]"),
        (["--drain-timeout", "9" * 400 + "s"], {}, "is longer than a year   [duration]"),
        ([], {"LAB_GATE": "unready-ratio=0% luck=1%"}, "LAB_GATE: 'luck=1%': there is no such gate"),
        ([], {"LAB_MAX_FAILURE_RATIO": "7"}, "LAB_MAX_FAILURE_RATIO: '7' is no share such as 5% or 0.05   [ratio]"),
        (["--gate", "luck=1%"], {}, "--gate: 'luck=1%': there is no such gate"),
        (["--gate", "error-ratio"], {}, "--gate: '' is no share such as 5% or 0.05   [gate]"),
        (["--gate-samples", "0"], {}, "'--gate-samples'"),
        (["--retries", "-1"], {}, "'--retries'"),
        (["--max-failure-ratio", "7"], {}, "--max-failure-ratio: '7' is no share such as 5% or 0.05   [ratio]"),
        (["--on-fail", "shrug"], {}, "'--on-fail'"),
        (["--like", "magic"], {}, "'magic' is none that is known   [like]"),
        (["--like", "recreate", "--order", "stop-first"], {}, "three ways to say one thing   [budgets]"),
        ([], {"LAB_LIKE": "recreate", "LAB_BATCH": "1"}, "three ways to say one thing   [budgets]"),
        (["--max-surge", "0", "--max-unavailable", "0%"], {}, "nothing can be replaced   [no-budget]"),
        (["--like", "codedeploy-100%"], {}, "leaves none to replace in a fleet of any size   [minimum-healthy]"),
        (["--rate", "nan"], {}, "nan requests a second cannot be offered   [rate]"),
    ],
)
def test_what_no_fleet_can_be_given_is_wrong_usage_for_every_command_without_an_engine(
    request: pytest.FixtureRequest, command: str, flags: list[str], environment: dict[str, str], told: str
) -> None:
    lab: Run = request.getfixturevalue("lab")
    for name, value in environment.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)

    code, out, err = lab(command, "v2", *flags)

    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.parametrize("command", ["roll", "plan"])
def test_times_that_cannot_be_meant_together_are_refused_without_an_engine(lab: Run, command: str) -> None:
    got, out, err = lab(command, "v2", "--bake", "1s")

    assert (got, out) == (3, "")
    assert "over before a probe can fail in it, which takes 6s   [plan-refused]" in err


def options_of(command: str) -> list[str]:
    (registered,) = [it for it in _commands.app.registered_commands if it.callback and it.callback.__name__ == command]
    assert registered.callback
    return [name for name in inspect.signature(registered.callback).parameters if name in _shape.OPTIONS]


def test_four_commands_take_one_list_of_options() -> None:
    assert {"gates" if name == "gate" else name for name in _shape.OPTIONS} == {field.name for field in fields(Shape)}
    for command in ("roll", "plan", "simulate"):
        assert options_of(command) == list(_shape.OPTIONS)
    assert options_of("rollback") == [name for name in _shape.OPTIONS if name != "on_fail"]


def spec(shape: Shape, manifest: Manifest = MANIFEST, *, rollback: bool = False, replicas: int = 6) -> RolloutSpec:
    return spec_of(shape, manifest, replicas=replicas, target=2, back_to=1, rollback=rollback)


def test_the_manifest_s_words_reach_the_spec_and_a_flag_s_lift_them() -> None:
    update = Shape(
        wave_bake=20.0,
        bake=60.0,
        on_fail=OnFail.PAUSE,
        max_failure_ratio="0.5",
        gates=("error-ratio=5%",),
        gate_samples=80,
        hold_timeout=9.0,
    )
    manifest = replace(MANIFEST, update=update)

    told = spec(Shape(), manifest)
    assert (told.wave_bake, told.bake, told.on_fail, told.max_failure_ratio) == (20.0, 60.0, OnFail.PAUSE, 0.5)
    assert ([gate.minimum for gate in told.gates], told.hold_timeout) == ([80], 9.0)
    lifted = spec(Shape(wave_bake=0.0, bake=0.0, on_fail=OnFail.ABORT, gates=(), max_failure_ratio="0"), manifest)
    assert (lifted.wave_bake, lifted.bake, lifted.on_fail, lifted.gates) == (0.0, 0.0, OnFail.ABORT, ())
    assert lifted.max_failure_ratio == 0


def test_a_preset_brings_its_own_failure_ratio_unless_one_is_asked_for_beside_it() -> None:
    manifest = replace(MANIFEST, update=Shape(max_failure_ratio="0.9"))

    assert spec(Shape(like="codedeploy-half"), manifest).max_failure_ratio == 0.5
    assert spec(Shape(like="kubernetes"), manifest).max_failure_ratio == 0
    assert spec(Shape(like="kubernetes", max_failure_ratio="0.2"), manifest).max_failure_ratio == 0.2


def test_a_rollback_goes_as_the_manifest_says_of_rollbacks() -> None:
    manifest = replace(MANIFEST, rollback=Shape(order=Order.STOP_FIRST, batch="3"))

    there, back = spec(Shape(), manifest), spec(Shape(), manifest, rollback=True)
    assert (there.surge, there.unavailable) == (1, 0)
    assert (back.surge, back.unavailable) == (0, 3)
    assert (back.strategy, back.replicas) == (Strategy.WAVES, 6)


AMOUNTS = st.one_of(
    st.none(),
    st.integers(0, 12).map(str),
    st.integers(0, 130).map(lambda n: f"{n}%"),
    st.sampled_from(["x", "1.5", "-1"]),
)
TIMES = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 7.0, 30.0, 600.0, 4000.0]))
LIKES = [
    None,
    None,
    "kubernetes",
    "recreate",
    "one-at-a-time",
    "codedeploy-half",
    "codedeploy-90%",
    "codedeploy-100%",
    "?",
]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    way = draw(st.sampled_from(["like", "max", "batch", "any"]))
    return Shape(
        like=draw(st.sampled_from(LIKES)) if way in {"like", "any"} else None,
        max_surge=draw(AMOUNTS) if way in {"max", "any"} else None,
        max_unavailable=draw(AMOUNTS) if way in {"max", "any"} else None,
        order=draw(st.sampled_from([None, *Order])) if way in {"batch", "any"} else None,
        batch=draw(AMOUNTS) if way in {"batch", "any"} else None,
        ready_timeout=draw(TIMES),
        drain_timeout=draw(TIMES),
        progress_timeout=draw(TIMES),
        bake=draw(TIMES),
        wave_bake=draw(TIMES),
        max_failure_ratio=draw(st.sampled_from([None, None, "5%", "0.1", "2"])),
        gates=draw(st.sampled_from([None, (), ("error-ratio=5%",), ("unready-ratio=0%",), ("luck=1%",)])),
    )


def refusal(ask: Callable[[], object]) -> tuple[str, int] | None:
    try:
        ask()
    except LabError as error:
        return error.id, error.exit_code
    return None


class Untouchable:
    """A lab whose every part but its manifest and its history is out of reach."""

    def __init__(self, replicas: int, folder: Path) -> None:
        one = Revision(number=1, version="v1", serves_as="v1", image_id="x", spec="{}")
        self.manifest, self.plan = MANIFEST, None
        self.project = SimpleNamespace(journal=folder / "none.db")
        self._history = History(revisions={1: one}, current=1, replicas=replicas)

    def history(self) -> History:
        return self._history


class TouchedError(Exception):
    pass


@pytest.fixture(scope="module")
def untouched() -> Iterator[None]:
    def touch(_: object) -> None:
        raise TouchedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Untouchable, "ensure_images", touch, raising=False)
        yield


@given(shape=shapes(), replicas=st.integers(1, 12))
@settings(max_examples=150)
def test_a_plan_and_a_roll_refuse_the_same_and_a_roll_before_anything_is_touched(
    untouched: None, tmp_path_factory: pytest.TempPathFactory, shape: Shape, replicas: int
) -> None:
    lab: Any = Untouchable(replicas, tmp_path_factory.getbasetemp())
    request = RollRequest(version="v2", shape=shape)

    def roll() -> None:
        rolling.check(lab, request)
        with pytest.raises(TouchedError):
            rolling._prepare(lab, request)

    planned = refusal(lambda: plan(lab, Question(version="v2", shape=shape, source="v1", replicas=replicas)))
    assert refusal(roll) == planned


@given(shape=shapes(), replicas=st.integers(1, 200))
@example(shape=Shape(order=Order.STOP_FIRST, batch="101%"), replicas=1)
@settings(max_examples=300)
def test_what_is_refused_of_the_largest_fleet_is_refused_of_every_one(shape: Shape, replicas: int) -> None:
    whatever = refusal(lambda: refuse_shape(shape, MANIFEST))

    assert replicas <= MOST_REPLICAS
    if whatever is not None and whatever[0] != "plan-refused":
        assert refusal(lambda: spec(shape, replicas=replicas)) is not None


@pytest.mark.parametrize(
    ("shape", "load", "told"),
    [
        (Shape(), True, ()),
        (Shape(bake=30.0), True, ()),
        (Shape(like="recreate"), True, ("for a while nobody serves: requests wait in the proxy",)),
        (
            Shape(max_surge="1", wave_bake=10.0),
            True,
            ("rolling has no waves: the bake of 10s after each is one at the end",),
        ),
        (
            Shape(gates=("error-ratio=5%",)),
            False,
            ("the gate error-ratio needs requests: with no load of the lab's, others have to come",),
        ),
        (Shape(gates=("error-ratio=5%",)), True, ()),
    ],
)
def test_a_roll_says_beforehand_what_is_out_of_the_ordinary_and_no_more(
    shape: Shape, load: bool, told: tuple[str, ...], tmp_path: Path
) -> None:
    lab: Any = Untouchable(3, tmp_path)
    request = RollRequest(version="v2", shape=shape, load=load)

    assert rolling._notes(lab, request, spec(shape, replicas=3)) == told


def test_a_rollback_s_check_reads_the_manifest_s_words_for_rollbacks(tmp_path: Path) -> None:
    lab: Any = Untouchable(3, tmp_path)
    lab.manifest = replace(MANIFEST, rollback=Shape(bake=1.0))

    rolling.check(lab, RollRequest(version="v2"))
    with pytest.raises(LabError, match="a bake of 1s is over before"):
        rolling.check(lab, RollRequest(version=None, kind=Command.ROLLBACK))
