"""The manifest that ships, and what each kind of broken manifest is told."""

import re
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError, UsageError
from lab.load_choice import LoadSpec
from lab.manifest import Manifest, read_manifest
from lab.model import OnFail, Order
from lab.ports import Readiness
from lab.rolled_keys import refuse_made
from lab.sections import BadKeyError, Section
from lab.shape import Shape

SHIPPED = Path(__file__).parents[2] / "compose/lab.yaml"


def test_the_shipped_manifest_reads() -> None:
    manifest = read_manifest(SHIPPED)

    assert (manifest.service, manifest.replicas) == ("app", 3)
    assert manifest.update == Shape(order=Order.START_FIRST, batch="1") == manifest.rollback
    assert manifest.readiness == Readiness(path="/readyz", port=8080, passes=2, min_ready=1.0, identity=True)
    assert (manifest.ready_timeout, manifest.drain_timeout, manifest.stop_grace) == (30.0, 30.0, 10.0)
    assert manifest.load.baseline == 3.0
    assert manifest.load.choice.settled() == LoadSpec()
    assert manifest.schema_plan is not None
    assert manifest.schema_plan.is_file()
    assert list(manifest.versions)[:2] == ["v1", "v2"]
    assert manifest.version("v2-never-ready").serves_as == "v2"
    assert manifest.version("v2-never-ready").environment == {"APP_CODE": "v2", "APP_FAULTS": "never-ready"}


def test_an_unknown_version_is_told_with_the_known_ones_and_their_place() -> None:
    with pytest.raises(UsageError) as caught:
        read_manifest(SHIPPED).version("v9")

    assert caught.value.what == "there is no version 'v9'"
    assert "v1, v1-naive-page, v2, v2-adds-latency" in caught.value.fix
    assert "lab.yaml" in caught.value.fix


def read(folder: Path, text: str) -> Manifest:
    path = folder / "lab.yaml"
    path.write_text(text)
    return read_manifest(path)


def manifest(lab: str = "versions: {v1: {}}", service: str = "", *, image: str = "x") -> str:
    return f"services:\n  db: {{image: '{image}'}}\n  web:\n    x-lab: {{{lab}}}\n    {service}\n"


def test_what_is_not_said_has_the_documented_defaults(tmp_path: Path) -> None:
    found = read(tmp_path, manifest())

    assert (found.service, found.replicas, found.update, found.rollback) == ("web", 3, Shape(), Shape())
    assert found.readiness == Readiness(identity=False)
    assert (found.ready_timeout, found.drain_timeout, found.stop_grace) == (30.0, 30.0, 10.0)
    assert (found.load.baseline, found.load.choice.settled()) == (3.0, LoadSpec(paths="/"))
    assert found.schema_plan is None
    assert found.version("v1").serves_as == "v1"


def test_versions_keep_the_manifest_s_order_and_their_words_are_text(tmp_path: Path) -> None:
    found = read(tmp_path, manifest("versions: {b: {image: 'shop:2', environment: {N: 5, E: ''}}, a: , 3: {}}"))

    assert list(found.versions) == ["b", "a", "3"]
    assert found.version("b").image == "shop:2"
    assert found.version("b").environment == {"N": "5", "E": ""}


def test_the_schema_plan_is_found_from_the_manifest(tmp_path: Path) -> None:
    found = read(tmp_path, manifest("versions: {v1: }, schema: {plan: ../plan.toml}", image="${LAB_POSTGRES_IMAGE}"))

    assert found.schema_plan == tmp_path.parent / "plan.toml"


def test_compose_s_words_for_a_roll_and_the_lab_s_own_shape_it(tmp_path: Path) -> None:
    config = (
        "deploy: {update_config: {parallelism: 2, order: stop-first, delay: 20s, monitor: 1m, failure_action: pause, "
        "max_failure_ratio: 0.1}}"
    )
    own = "progress_timeout: 5m, hold_timeout: 1m, gates: [error-ratio=5%], gate_samples: 80, retries: 2"
    found = read(tmp_path, manifest(f"versions: {{v1: }}, {own}", config))

    assert found.update == Shape(
        order=Order.STOP_FIRST,
        batch="2",
        wave_bake=20.0,
        bake=60.0,
        on_fail=OnFail.PAUSE,
        max_failure_ratio="0.1",
        progress_timeout=300.0,
        hold_timeout=60.0,
        gates=("error-ratio=5%",),
        gate_samples=80,
        retries=2,
    )


def test_a_rollback_has_its_own_words_and_for_the_rest_those_of_a_roll(tmp_path: Path) -> None:
    config = (
        "deploy: {update_config: {parallelism: 2, monitor: 1m}, rollback_config: {parallelism: 3, order: stop-first}}"
    )
    found = read(tmp_path, manifest(service=config))

    assert found.rollback == Shape(order=Order.STOP_FIRST, batch="3", bake=60.0)
    assert found.update == Shape(batch="2", bake=60.0)


PAGE = Path(__file__).parents[2] / "docs/reference/manifest.md"


def test_the_page_has_every_key_that_is_read_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: set[str] = set()
    get, find = Section.get, Section.find

    def note(section: Section, key: str) -> None:
        at = f"{section.at}.{key}".removeprefix("services.web.")
        keys.add(at.replace("versions.v1", "versions.NAME").replace("environment.A", "environment.VARIABLE"))

    def noted_get(section: Section, key: str, read: Any, default: object) -> Any:
        note(section, key)
        return get(section, key, read, default)

    def noted_find(section: Section, key: str, read: Any) -> Any:
        note(section, key)
        return find(section, key, read)

    monkeypatch.setattr(Section, "get", noted_get)
    monkeypatch.setattr(Section, "find", noted_find)
    read(tmp_path, manifest("versions: {v1: {environment: {A: x}}}, compat: {environment: {A: x}}"))
    keys.discard("services.web")
    leaves = {key for key in keys if not any(other.startswith(f"{key}.") for other in keys)}

    assert set(re.findall(r"^\| `([^`]+)`", PAGE.read_text(), re.MULTILINE)) == leaves


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
    "x-lab is empty": (manifest(""), "services.web.x-lab.versions: it names no version"),
    "x-lab is a word": ("services: {web: {x-lab: yes please}}", "services.web.x-lab: 'yes please' is not a mapping"),
    "no versions": (manifest("versions: {}"), "x-lab.versions: it names no version"),
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
        "services.web.deploy.update_config.order: 'both' is neither start-first nor stop-first",
    ),
    "a number for a duration": (
        manifest("versions: {v1: }, ready_timeout: 30"),
        "services.web.x-lab.ready_timeout: 30 is not a duration such as",
    ),
    "a path without its slash": (
        manifest("versions: {v1: }, readiness: {path: readyz}"),
        "path: 'readyz' is not a path",
    ),
    "a word for a truth": (manifest("versions: {v1: }, readiness: {identity: 'no'}"), "identity: 'no' is neither"),
    "a failed version is rolled on with": (
        manifest(service="deploy: {update_config: {failure_action: continue}}"),
        "services.web.deploy.update_config.failure_action: 'continue' would go on with a version that failed",
    ),
    "a failure action of another kind": (
        manifest(service="deploy: {update_config: {failure_action: shrug}}"),
        "failure_action: 'shrug' is neither pause nor rollback",
    ),
    "a rollback that is rolled back": (
        manifest(service="deploy: {rollback_config: {failure_action: rollback}}"),
        "services.web.deploy.rollback_config.failure_action: 'rollback': a rollback that fails pauses",
    ),
    "a delay in plain seconds": (
        manifest(service="deploy: {update_config: {delay: 10}}"),
        "services.web.deploy.update_config.delay: 10 is not a duration such as",
    ),
    "a monitor of ages": (
        manifest(service="deploy: {update_config: {monitor: 9999h}}"),
        "services.web.deploy.update_config.monitor: 9999h is longer than a year",
    ),
    "a ratio above one": (
        manifest(service="deploy: {update_config: {max_failure_ratio: 20}}"),
        "services.web.deploy.update_config.max_failure_ratio: '20' is no share such as 5% or 0.05",
    ),
    "a ratio that is a truth": (
        manifest(service="deploy: {update_config: {max_failure_ratio: true}}"),
        "max_failure_ratio: True is no share",
    ),
    "a gate of no name": (
        manifest("versions: {v1: }, gates: [luck=1%]"),
        "x-lab.gates: 'luck=1%': there is no such gate, only error-ratio, unready-ratio, dropped and latency",
    ),
    "a gate without its limit": (manifest("versions: {v1: }, gates: [error-ratio]"), "x-lab.gates: '' is no share"),
    "a gate outside a list": (
        manifest("versions: {v1: }, gates: error-ratio=5%"),
        "x-lab.gates: 'error-ratio=5%' is not a list such as [error-ratio=5%]",
    ),
    "retries below none": (manifest("versions: {v1: }, retries: -1"), "services.web.x-lab.retries: -1 is not a whole"),
    "samples of none": (manifest("versions: {v1: }, gate_samples: 0"), "services.web.x-lab.gate_samples: 0 is not a"),
    "a misspelt key": (
        manifest("versions: {v1: }, progres_timeout: 1m"),
        "services.web.x-lab.progres_timeout: there is no such key; there are compat, drain_timeout, gate_samples, ",
    ),
    "a misspelt key of Compose": (
        manifest(service="deploy: {update_config: {paralelism: 2}}"),
        "services.web.deploy.update_config.paralelism: there is no such key; there are delay, failure_action",
    ),
    "a rate of less than none": (manifest("versions: {v1: }, load: {rate: -1}"), "load.rate: -1 is no number of"),
    "a rate of no number": (manifest("versions: {v1: }, load: {rate: .nan}"), "load.rate: nan is no number of"),
    "a word for a rate": (manifest("versions: {v1: }, load: {rate: fast}"), "rate: could not convert"),
}


@pytest.mark.parametrize("text,what", BROKEN.values(), ids=BROKEN.keys())  # noqa: PT006
def test_a_broken_manifest_is_told_with_its_file_and_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(LabError) as caught:
        read(tmp_path, text)

    assert caught.value.id == "manifest"
    assert what in caught.value.what
    file, _, line = caught.value.where.partition("lab.yaml")
    assert file == f"{tmp_path}/"
    assert re.fullmatch(r"(:\d+)?", line)
    assert caught.value.exit_code == 3


LINES = """\
services:
  web:
    image: x
    deploy:
      replicas: many
    x-lab: &lab
      ready_timeout: 1m
      readiness:
        path: readyz
      versions:
        v1: {}
        v2.1:
          environment:
            A: true
"""


@pytest.mark.parametrize(
    ("line", "instead", "at"),
    [
        (5, "      replicas: many", 5),
        (5, "      replicas: 0", 5),
        (7, "      ready_timeout: 1m\n      drain_timeut: 1m", 8),
        (9, "        path: readyz", 9),
        (14, "            A: true", 14),
        (8, "      readiness: [", 10),
        (3, "    image: x\n    container_name: one", 4),
        (3, "    image: x\n    networks:\n      default:\n        ipv4_address: 10.0.0.1", 6),
        (3, "    image: x\n  db:\n    depends_on:\n    - web\n  web:", 5),
    ],
)
def test_an_error_names_the_line_of_its_key(tmp_path: Path, line: int, instead: str, at: int) -> None:
    """Only one thing is wrong at a time."""
    right = {5: "      replicas: 3", 9: "        path: /readyz", 14: "            A: 'true'"}
    text = "\n".join(
        instead if number == line else right.get(number, said) for number, said in enumerate(LINES.splitlines(), 1)
    )
    with pytest.raises(LabError) as caught:
        read(tmp_path, text)

    assert caught.value.where == f"{tmp_path}/lab.yaml:{at}", caught.value.what


def test_what_a_merge_brings_in_is_told_where_it_was_written(tmp_path: Path) -> None:
    text = "x-all: &all\n  ready_timeout: soon\nservices:\n  web:\n    x-lab:\n      <<: *all\n      versions: {v1: }\n"
    with pytest.raises(LabError, match="ready_timeout: 'soon'") as caught:
        read(tmp_path, text)

    assert caught.value.where.endswith("lab.yaml:2")


def test_a_key_that_is_missing_is_told_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="names no version") as caught:
        read(tmp_path, "services:\n  web:\n    init: true\n    x-lab:\n      ready_timeout: 1m\n")

    assert caught.value.where.endswith("lab.yaml:4")


def test_an_anchor_inside_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="names no version"):
        read(tmp_path, "services:\n  web: &w\n    again: *w\n    x-lab: {}\n")


IMPOSSIBLE = {
    "ports": ("ports: ['8080:8080']", "replicas cannot share a port", "lab up --port"),
    "container_name": ("container_name: shop", "two replicas cannot have one name", "app-1.1"),
    "scale": ("scale: 0", "the size of the fleet is said elsewhere", "deploy.replicas"),
    "network_mode": ("network_mode: host", "without an address of their own", "list networks"),
    "mac_address": ("mac_address: 02:42:ac:11:00:02", "two replicas cannot have one address", "leave it away"),
    "profiles": ("profiles: [debug]", "cannot be left out", "leave it away"),
    "deploy.mode": ("deploy: {mode: global}", "'global' is no fleet of a chosen size", "deploy.replicas"),
    "networks.a.ipv4_address": ("networks: {a: {ipv4_address: 10.0.0.9}}", "one address", "leave it away"),
    "networks.a.ipv6_address": ("networks: {a: {ipv6_address: 'fd::9'}}", "one address", "leave it away"),
}


@pytest.mark.parametrize("key", IMPOSSIBLE)
def test_a_key_that_a_replicated_proxied_service_cannot_have_is_refused_by_name(tmp_path: Path, key: str) -> None:
    text, what, fix = IMPOSSIBLE[key]
    with pytest.raises(LabError) as caught:
        read(tmp_path, manifest(service=text))

    assert f"services.web.{key}: " in caught.value.what
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where.endswith("lab.yaml:5")


@pytest.mark.parametrize(
    "needs", ["depends_on: [web]", "depends_on: {web: {}}", "links: ['web:w']", "network_mode: 'service:web'"]
)
def test_nothing_that_compose_starts_may_wait_for_a_replica(tmp_path: Path, needs: str) -> None:
    with pytest.raises(LabError, match=r"services\.proxy\.\w+: it cannot depend on web, which is rolled"):
        read(tmp_path, manifest() + f"\n  proxy:\n    image: x\n    {needs}\n")


def test_the_same_keys_are_honoured_where_they_can_be(tmp_path: Path) -> None:
    harmless = "ports: []", "deploy: {mode: replicated}", "networks: {a: {aliases: [x]}, b: }", "depends_on: [db]"
    for text in harmless:
        read(tmp_path, manifest(service=text))


MADE = {"HostConfig": {"NetworkMode": "lab_default", "PortBindings": {}}}


@pytest.mark.parametrize(
    ("made", "key"),
    [
        ({"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}}, "ports"),
        ({"HostConfig": {"NetworkMode": "host"}}, "network_mode"),
        ({"HostConfig": {"NetworkMode": "container:3f9c"}}, "network_mode"),
        ({"HostConfig": {}, "MacAddress": "02:42:ac:11:00:02"}, "mac_address"),
    ],
)
def test_what_comes_in_by_another_file_is_refused_when_compose_has_made_it(made: dict[str, Any], key: str) -> None:
    refuse_made("web", MADE)
    with pytest.raises(BadKeyError) as caught:
        refuse_made("web", made)

    assert (caught.value.at, bool(caught.value.fix)) == (f"services.web.{key}", True)


def test_a_manifest_that_is_not_there_or_not_text_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="it cannot be read: No such file or directory"):
        read_manifest(tmp_path / "lab.yaml")
    (tmp_path / "lab.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(LabError, match="it is not YAML"):
        read_manifest(tmp_path / "lab.yaml")


def test_how_a_version_is_told_its_database_may_name_only_what_there_is(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        manifest(
            "versions: {v1: }, compat: {checks: ../checks.toml, environment: {A: '{host}/{database}'}, memory: 0,"
            " plan: plan.toml}"
        ),
    )

    assert found.compat.checks == tmp_path.parent / "checks.toml"
    assert found.compat.environment == {"A": "{host}/{database}"}
    assert (found.compat.memory, found.compat.plan) == (0, tmp_path / "plan.toml")
    plain = read(tmp_path, manifest("versions: {v1: }")).compat
    assert (plain.environment, plain.memory) == ({"PGDATABASE": "{database}"}, 1024)
    with pytest.raises(LabError, match=r"compat.environment.A: '\{schema\}' may hold"):
        read(tmp_path, manifest("versions: {v1: }, compat: {environment: {A: '{schema}'}}"))
