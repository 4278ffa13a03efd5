"""The manifest that ships, durations, and what each kind of broken manifest is told."""

from pathlib import Path

import pytest

from lab.durations import seconds
from lab.errors import LabError, UsageError
from lab.manifest import Manifest, read_manifest
from lab.model import Order
from lab.ports import Readiness

SHIPPED = Path(__file__).parents[2] / "compose/lab.yaml"


def test_the_shipped_manifest_reads() -> None:
    manifest = read_manifest(SHIPPED)

    assert (manifest.service, manifest.replicas, manifest.order, manifest.batch) == ("app", 3, Order.START_FIRST, 1)
    assert manifest.readiness == Readiness(path="/readyz", port=8080, passes=2, min_ready=1.0, identity=True)
    assert (manifest.ready_timeout, manifest.drain_timeout, manifest.stop_grace) == (30.0, 30.0, 10.0)
    assert (manifest.load.rate, manifest.load.baseline, manifest.load.min_requests) == (100.0, 3.0, 500)
    assert manifest.schema_plan is not None
    assert manifest.schema_plan.is_file()
    assert list(manifest.versions)[:2] == ["v1", "v2"]
    assert manifest.version("v2-never-ready").serves_as == "v2"
    assert manifest.version("v2-never-ready").environment == {"APP_CODE": "v2", "APP_FAULTS": "never-ready"}


def test_an_unknown_version_is_told_with_the_known_ones_and_their_place() -> None:
    with pytest.raises(UsageError) as caught:
        read_manifest(SHIPPED).version("v9")

    assert caught.value.what == "there is no version 'v9'"
    assert "v1, v2, v2-answers-errors" in caught.value.fix
    assert "lab.yaml" in caught.value.fix


def read(folder: Path, text: str) -> Manifest:
    path = folder / "lab.yaml"
    path.write_text(text)
    return read_manifest(path)


def manifest(lab: str = "versions: {v1: {}}", service: str = "") -> str:
    return f"services:\n  db: {{image: x}}\n  web:\n    x-lab: {{{lab}}}\n    {service}\n"


def test_what_is_not_said_has_the_documented_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, manifest())

    assert (found.service, found.replicas, found.order, found.batch) == ("web", 3, Order.START_FIRST, 1)
    assert found.readiness == Readiness(identity=False)
    assert (found.ready_timeout, found.drain_timeout, found.stop_grace) == (30.0, 30.0, 10.0)
    assert (found.load.rate, found.load.baseline, found.load.min_requests) == (100.0, 3.0, 500)
    assert found.schema_plan is None
    assert found.version("v1").serves_as == "v1"


def test_versions_keep_the_manifest_s_order_and_their_words_are_text(tmp_path: Path) -> None:
    found = read(tmp_path, manifest("versions: {b: {image: 'shop:2', environment: {N: 5, E: ''}}, a: , 3: {}}"))

    assert list(found.versions) == ["b", "a", "3"]
    assert found.version("b").image == "shop:2"
    assert found.version("b").environment == {"N": "5", "E": ""}


def test_the_schema_plan_is_found_from_the_manifest(tmp_path: Path) -> None:
    found = read(tmp_path, manifest("versions: {v1: }, schema: {plan: ../plan.toml}"))

    assert found.schema_plan == tmp_path.parent / "plan.toml"


BROKEN = {
    "not YAML": ("services: [", "it is not YAML"),
    "empty": ("", "it has no services"),
    "a list": ("- a", "it has no services"),
    "services are a list": ("services: [a]", "it has no services"),
    "no service carries x-lab": ("services: {a: {image: x}, b: }", "one service must carry x-lab, found 0"),
    "a service that is a word": ("services: {a: x-lab}", "one service must carry x-lab, found 0"),
    "two services carry x-lab": (
        "services: {a: {x-lab: {}}, b: {x-lab: {}}}",
        "one service must carry x-lab, found 2",
    ),
    "x-lab is empty": (manifest(""), "services.web.x-lab.versions names no version"),
    "x-lab is a word": ("services: {web: {x-lab: yes please}}", "services.web.x-lab: 'yes please' is not a mapping"),
    "no versions": (manifest("versions: {}"), "x-lab.versions names no version"),
    "versions are a list": (manifest("versions: [v1]"), "versions: ['v1'] is not a mapping"),
    "a version's name is a path": (manifest("versions: {../v1: {}}"), "'../v1' cannot be the name of a version"),
    "a version is a word": (manifest("versions: {v1: v1}"), "v1: 'v1' is not a mapping"),
    "an environment is a list": (
        manifest("versions: {v1: {environment: [A=1]}}"),
        "environment: ['A=1'] is not a mapping",
    ),
    "an environment holds a truth": (
        manifest("versions: {v1: {environment: {A: true}}}"),
        "A: True is no text: quote it",
    ),
    "an environment names no value": (manifest("versions: {v1: {environment: {A: }}}"), "A: None is no text"),
    "replicas are a word": (manifest(service="deploy: {replicas: three}"), "replicas: 'three' is not a whole number"),
    "replicas are 0": (manifest(service="deploy: {replicas: 0}"), "replicas: 0 is not a whole number of 1 or more"),
    "a batch of 0": (
        manifest(service="deploy: {update_config: {parallelism: 0}}"),
        "parallelism: 0 is not a whole number",
    ),
    "an unknown order": (
        manifest(service="deploy: {update_config: {order: both}}"),
        "order: 'both' is not a valid Order",
    ),
    "a number for a duration": (
        manifest("versions: {v1: }, ready_timeout: 30"),
        "ready_timeout: 30 is not a duration such as",
    ),
    "a path without its slash": (
        manifest("versions: {v1: }, readiness: {path: readyz}"),
        "path: 'readyz' is not a path",
    ),
    "a word for a truth": (manifest("versions: {v1: }, readiness: {identity: 'no'}"), "identity: 'no' is neither"),
    "a word for a rate": (manifest("versions: {v1: }, load: {rate: fast}"), "rate: could not convert"),
}


@pytest.mark.parametrize("text,what", BROKEN.values(), ids=BROKEN.keys())  # noqa: PT006
def test_a_broken_manifest_is_told_with_its_file_and_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(LabError) as caught:
        read(tmp_path, text)

    assert caught.value.id == "manifest"
    assert what in caught.value.what
    assert caught.value.where == str(tmp_path / "lab.yaml")
    assert caught.value.exit_code == 3


def test_a_manifest_that_is_not_there_or_not_text_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="it cannot be read: No such file or directory"):
        read_manifest(tmp_path / "lab.yaml")
    (tmp_path / "lab.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(LabError, match="it is not YAML"):
        read_manifest(tmp_path / "lab.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500ms", 0.5), ("10s", 10), ("1m30s", 90), ("2h", 7200), ("1.5s", 1.5), ("0s", 0), ("1h1m1s", 3661)],
)
def test_a_duration_reads_as_compose_reads_it(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "10", 10, "s", "-1s", "1 s", "10x", "1m 30s", "1s!", "1e3s", None])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 500ms"):
        seconds(text)
