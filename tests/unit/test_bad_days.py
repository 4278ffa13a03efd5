"""What may be wrong around the lab, each told with what, where and the fix, and before anything is touched."""

import http.server
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.assembly import Lab
from lab.beside import LookBeside
from lab.cli import _output
from lab.endpoint import resolve
from lab.errors import EngineError, Exit, LabError
from lab.manifest import Version, read_manifest
from lab.model import Revision
from lab.operations.revisions import ensure_revision, refuse_late_check
from lab.operations.status import static_notes
from lab.operations.up import _choose_port
from lab.port_owner import port_owner
from lab.ports import Sight
from lab.project import project_at, recorded_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/bad-days.md"


@contextmanager
def listening() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield int(server.getsockname()[1])


# a port that is taken


def test_a_port_is_told_with_the_process_that_has_it() -> None:
    with listening() as port:
        assert port_owner(port, []) == f"{Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"


def test_a_port_that_a_container_publishes_is_told_with_the_container() -> None:
    rows = [
        {"Names": ["/db"], "Ports": [{"PrivatePort": 5432}]},
        {"Names": ["/lab-other_proxy_1"], "Ports": [{"PrivatePort": 8080, "PublicPort": 8099}]},
    ]

    assert port_owner(8099, rows) == "container lab-other_proxy_1"


def test_a_port_whose_owner_cannot_be_seen_is_told_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1\n"
    (tmp_path / "net/tcp").write_text("  sl  local_address rem_address   st\n" + line)

    assert port_owner(1, [], proc=tmp_path) == "another program"


def test_up_says_who_has_its_port_before_it_starts_anything_and_remembers_none(tmp_path: Path) -> None:
    host, project = SimpleNamespace(everybody=list, static=dict), project_at(tmp_path, "shop")
    with listening() as port:
        lab: Any = SimpleNamespace(project=project, host=host)
        with pytest.raises(LabError) as caught:
            _choose_port(lab, port)

    assert recorded_port(project) is None

    assert (caught.value.id, caught.value.exit_code) == ("port-taken", Exit.ENVIRONMENT)
    assert f"port {port} of 127.0.0.1 is taken by " in caught.value.what
    assert f"(pid {os.getpid()})" in caught.value.what
    assert f"lab up --port {port + 1}" in caught.value.fix


# no engine


class Broken(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def broken_engine() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Broken) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def diagnosed(host: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> EngineError:
    monkeypatch.setattr("lab.endpoint._known_sockets", lambda _environ, _home: [home / "docker.sock"])
    with pytest.raises(EngineError) as caught:
        resolve({"DOCKER_HOST": host, "USER": "ann"}, home)
    assert caught.value.exit_code == Exit.ENVIRONMENT
    assert host in caught.value.where
    return caught.value


def test_an_engine_that_does_not_run_is_told_from_one_that_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as closed:
        pass
    for host in (f"unix://{tmp_path}/none.sock", f"tcp://127.0.0.1:{closed}"):
        down = diagnosed(host, tmp_path, monkeypatch)
        assert (down.id, down.what) == ("docker-down", "Docker does not run")
        assert "start Docker" in down.fix

    with broken_engine() as host:
        unreachable = diagnosed(host, tmp_path, monkeypatch)
    assert unreachable.id == "docker-unreachable"
    assert "answers 500 to a ping" in unreachable.where
    assert "DOCKER_HOST or the docker context" in unreachable.fix


def test_an_engine_that_may_not_be_asked_is_told_as_that_whoever_else_is_silent(tmp_path: Path) -> None:
    def probe(candidate: Any) -> str:
        return "permission denied" if "var/run" in candidate.url else "no such socket"

    with pytest.raises(EngineError) as caught:
        resolve({"USER": "ann"}, tmp_path, probe)

    assert caught.value.id == "docker-permission"
    assert "ann may not ask it" in caught.value.what
    assert "usermod -aG docker ann" in caught.value.fix


# a version that cannot be


def test_a_version_that_is_nearly_another_is_asked_about() -> None:
    manifest = read_manifest(ROOT / "compose/lab.yaml")
    with pytest.raises(LabError) as near:
        manifest.version("v2-never-redy")
    with pytest.raises(LabError) as far:
        manifest.version("shop")

    assert near.value.what == "there is no version 'v2-never-redy'; did you mean 'v2-never-ready'?"
    assert far.value.what == "there is no version 'shop'"


def test_an_image_that_is_missing_is_told_before_compose_is_asked_for_anything() -> None:
    def missing(image: str) -> str:
        raise EngineError(id="image-missing", what=f"there is no image {image}")

    def touched(*_: object, **__: object) -> None:
        raise AssertionError("Compose was asked")

    lab: Any = SimpleNamespace(host=SimpleNamespace(image_id=missing), compose=touched)
    version = Version(name="v9", serves_as="v9", image="shop:9", environment={})
    with pytest.raises(EngineError, match="no image shop:9"):
        ensure_revision(lab, version, images=None, replicas=3)  # type: ignore[arg-type]  # it comes before they are needed


@pytest.mark.parametrize(
    ("check", "refused"),
    [
        (None, False),
        ({"Test": ["NONE"], "Interval": 60 * 10**9}, False),
        ({"Test": ["CMD", "true"]}, True),  # the engine's own interval
        ({"Test": ["CMD", "true"], "Interval": 30 * 10**9}, True),
        ({"Test": ["CMD", "true"], "Interval": 10**9}, False),
        ({"Test": ["CMD", "true"], "Interval": 60 * 10**9, "StartPeriod": 10**9}, False),  # newer engines ask sooner
    ],
)
def test_a_healthcheck_that_is_asked_too_late_for_any_replica_is_refused(check: Any, *, refused: bool) -> None:
    spec = json.dumps({"Healthcheck": check, "Env": ["P=${secret:db_password}"]})
    revision = Revision(number=2, version="2.0", serves_as="2.0", image_id="", spec=spec)
    if not refused:
        refuse_late_check(revision, 30.0)
        return
    with pytest.raises(LabError) as caught:
        refuse_late_check(revision, 30.0)

    assert (caught.value.id, caught.value.exit_code) == ("plan-refused", Exit.ENVIRONMENT)
    assert "is first asked 30s after a replica's start, and a replica has 30s" in caught.value.what
    assert "x-lab.ready_timeout" in caught.value.fix


# whose lab, and is there one


def lab_with(**parts: Any) -> Lab:
    """A lab whose parts are these."""
    lab = Lab(project=SimpleNamespace(name="shop", home="/home/ann/lab"))  # type: ignore[arg-type]
    vars(lab).update(parts)
    return lab


def test_a_lab_of_another_checkout_is_told_with_its_folder() -> None:
    lab = lab_with(docker=SimpleNamespace(home_of_others=lambda: "/home/bob/lab"))
    with pytest.raises(LabError) as caught:
        lab.refuse_another_checkout()

    assert (caught.value.id, caught.value.exit_code) == ("other-checkout", Exit.ENVIRONMENT)
    assert caught.value.what.endswith("belongs to another checkout: /home/bob/lab")
    assert "--project NAME" in caught.value.fix


@pytest.mark.parametrize(
    ("static", "why"),
    [
        ({}, "it has no containers"),
        ({"proxy": SimpleNamespace(running=False, ports={})}, "proxy does not run"),
        ({"proxy": SimpleNamespace(running=True, ports={})}, "proxy publishes no port 9000"),
    ],
)
def test_no_lab_or_a_proxy_that_is_gone_is_told_with_the_way_to_have_it_again(static: Any, why: str) -> None:
    with pytest.raises(LabError) as caught:
        lab_with(host=SimpleNamespace(static=lambda: static)).gateway()

    assert (caught.value.id, caught.value.exit_code) == ("lab-not-up", Exit.ENVIRONMENT)
    assert caught.value.what == f"the lab 'shop' is not up: {why}"
    assert caught.value.fix == "lab up --project shop"


def test_advice_names_the_project_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.cli._output._project", "shop")

    assert _output.advice("lab up --project shop, then lab roll v2") == (
        "lab up --project shop, then lab roll --project shop v2"
    )


def test_status_says_what_beside_the_fleet_does_not_run() -> None:
    static = {
        "db": SimpleNamespace(running=False, done=False),
        "proxy": SimpleNamespace(running=True, done=False),
        "fill": SimpleNamespace(running=False, done=True),
    }

    assert static_notes(("db", "proxy", "fill", "cache"), static) == [  # type: ignore[arg-type]  # what is asked of them
        "db does not run: lab up starts it again",
        "cache does not run: lab up starts it again",
    ]


class Fine:
    """An observer that sees nothing and never fails."""

    async def look(self, *, whole: bool) -> Sight:
        return Sight(seq=1, now_ns=1, replicas=(), whole=whole)


async def test_a_service_that_ran_and_is_gone_is_the_environment_s_failure_until_it_runs_again() -> None:
    running, clock = {"db": True, "never": False}, [0.0]

    def static() -> Any:
        there = {name: SimpleNamespace(running=runs, done=False) for name, runs in running.items()}
        return {**there, "fill": SimpleNamespace(running=clock[0] == 0, done=clock[0] > 0)}

    it = LookBeside(Fine(), static, now=lambda: clock[0])
    await it.look(whole=True)
    running["db"] = False
    await it.look(whole=True)  # it looks beside once a second
    clock[0] = 1.0
    for _ in range(2):
        with pytest.raises(EngineError, match="db does not run any more"):
            await it.look(whole=True)
    running["db"], clock[0] = True, 2.0

    assert (await it.look(whole=True)).seq == 1


# clocks

WALL = re.compile(r"\btime\.time\(|\btime\.time_ns\(|datetime\.now\(|\bstrftime\(|\btime\.ctime\(|utcnow\(")
MAY_ASK = {
    "lab/cli/_detach.py": "a file's name",
    "lab/inbox.py": "shown",
    "lab/journal.py": "shown",
    "lab/migrate/clone.py": "a database's name, and whether it is an hour old",
    "lab/operations/gc.py": "whether an image is hours old",
    "lab/operations/run.py": "a run's name",
    "lab/operations/schema.py": "how long an old version was quiet: never more than since the lab looked",
    "lab/operations/up.py": "a run's name",
}
"""Who asks the wall clock, and what for. Nothing that is decided while a rollout runs may stand here."""


def test_nothing_but_names_and_what_is_shown_asks_the_wall_clock() -> None:
    asks = set()
    for package in ("lab", "proxy", "sample_app", "loadtest"):
        for path in (ROOT / package).rglob("*.py"):
            if WALL.search(path.read_text()):
                asks.add(str(path.relative_to(ROOT)))

    assert asks == set(MAY_ASK)


# the page


def test_the_page_of_bad_days_names_errors_that_there_are() -> None:
    named = set(re.findall(r"^\|[^|]+\| `([a-z-]+)`", PAGE.read_text(), re.MULTILINE))
    source = "".join(path.read_text() for path in (ROOT / "lab").rglob("*.py"))

    assert named
    assert {name for name in named if f'"{name}"' not in source} == set()


HELD = {
    "a version that does not exist": (
        "unit/test_lab_cli.py::test_an_unknown_version_is_wrong_usage_and_the_known_ones_are_named"
    ),
    "a command that does not exist": "unit/test_lab_cli.py::test_a_line_that_cannot_be_meant_is_wrong_usage",
    "a fleet of none": "unit/test_lab_cli.py::test_a_value_that_cannot_be_meant_is_wrong_usage",
    "a batch of none": "unit/test_lab_plan.py::test_what_cannot_be_meant_is_refused_with_the_reason",
    "both budgets zero": "unit/test_lab_plan.py::test_what_cannot_be_meant_is_refused_with_the_reason",
    "`--batch`, `--max-surge` and `--like` mixed": (
        "unit/test_lab_shape.py::test_what_no_fleet_can_be_given_is_wrong_usage_for_every_command_without_an_engine"
    ),
    "times that cannot be meant together": (
        "unit/test_lab_shape.py::test_times_that_cannot_be_meant_together_are_refused_without_an_engine"
    ),
    "the manifest is garbled, or has a key that is not known": (
        "unit/test_lab_manifest.py::test_a_broken_manifest_is_told_with_its_file_and_what_is_wrong"
    ),
    "the journal is garbled": "unit/test_lab_journal.py::test_a_garbled_file_is_refused_and_left_untouched",
    "the port is taken": (
        "unit/test_bad_days.py::test_up_says_who_has_its_port_before_it_starts_anything_and_remembers_none"
    ),
    "Docker does not run": (
        "unit/test_bad_days.py::test_an_engine_that_does_not_run_is_told_from_one_that_cannot_be_reached"
    ),
    "Docker runs, and may not be asked": (
        "unit/test_bad_days.py::test_an_engine_that_may_not_be_asked_is_told_as_that_whoever_else_is_silent"
    ),
    "something answers there, or it is too far away": (
        "unit/test_bad_days.py::test_an_engine_that_does_not_run_is_told_from_one_that_cannot_be_reached"
    ),
    "there is no lab, or its proxy or database is gone": (
        "unit/test_bad_days.py::test_no_lab_or_a_proxy_that_is_gone_is_told_with_the_way_to_have_it_again"
    ),
    "the lab belongs to another checkout": (
        "unit/test_bad_days.py::test_a_lab_of_another_checkout_is_told_with_its_folder"
    ),
    "an image is missing": "e2e/test_own_app.py::test_an_image_that_is_nowhere_is_refused_before_anything_is_touched",
    "another command is at work": (
        "component/test_lab_lease.py::test_a_second_holder_is_refused_with_the_name_of_the_first"
    ),
    "a rollout has not ended": (
        "e2e/test_bad_days.py::test_a_proxy_whose_container_is_removed_pauses_the_roll_and_up_and_resume_end_it"
    ),
    "the disk fills": (
        "component/test_lab_full_disk.py::"
        "test_a_full_disk_ends_the_rollout_before_its_next_step_and_with_room_it_goes_on"
    ),
    "the proxy is killed": (
        "e2e/test_main_job.py::test_a_proxy_killed_during_a_roll_leaves_a_verdict_and_a_roll_that_goes_on"
    ),
    "the proxy's container is removed": (
        "e2e/test_bad_days.py::test_a_proxy_whose_container_is_removed_pauses_the_roll_and_up_and_resume_end_it"
    ),
    "the database, or another service beside the fleet, is gone": (
        "e2e/test_bad_days.py::test_a_database_that_is_gone_pauses_the_roll_and_blames_no_version"
    ),
    "the engine does not answer": (
        "unit/test_engine_promises.py::test_a_short_failure_of_the_environment_is_waited_out"
    ),
    "the machine sleeps, or the clock jumps": "unit/test_engine_promises.py::test_a_clock_that_jumps_fails_no_version",
    "the wall clock jumps": "unit/test_bad_days.py::test_nothing_but_names_and_what_is_shown_asks_the_wall_clock",
    "Ctrl-C": "e2e/test_terminal.py::test_an_interrupted_rollout_is_gone_on_with_by_a_run_of_its_own",
    "the command is killed": "e2e/test_crashes.py::test_killed_there_the_roll_goes_on_and_ends_as_if_nothing_had_been",
    "`lab up` or `lab down` is interrupted or killed, anywhere": (
        "e2e/test_interrupted.py::test_killed_while_its_replicas_start_the_next_up_does_the_rest"
    ),
}
"""What stands on the page, and the test that holds it; the last one in full is `make soak-updown`."""


def test_each_row_of_the_page_is_held_by_a_test() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    files = {name: (ROOT / "tests" / name).read_text() for name in {test.partition("::")[0] for test in HELD.values()}}
    tests = (test.partition("::") for test in HELD.values())

    assert [row for row in rows if row not in {"what is wrong", "what happens"}] == list(HELD)
    assert [test for file, _, test in tests if f"def {test}(" not in files[file]] == []
