"""What holds on every platform by construction: the host talks to the engine's API and to ports of 127.0.0.1 alone.

No path of the host is in a container, and no container's address is used from the host.
"""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from lab.cli import main
from lab.replica_spec import body_of
from tests.unit.test_lab_by_hand import REVISIONS

ROOT = Path(__file__).parents[2]
SHIPPED = yaml.safe_load((ROOT / "compose/lab.yaml").read_text())
SOURCES = [path for path in sorted(ROOT.glob("lab/**/*.py")) if "sim" not in path.parts]


def test_the_shipped_manifest_mounts_volumes_alone() -> None:
    named = set(SHIPPED["volumes"])
    mounts = [volume for service in SHIPPED["services"].values() for volume in service.get("volumes", ())]

    assert len(mounts) > 2
    assert {mount.partition(":")[0] for mount in mounts} <= named


def test_every_port_of_the_shipped_manifest_is_one_of_127_0_0_1() -> None:
    ports = [port for service in SHIPPED["services"].values() for port in service.get("ports", ())]

    assert len(ports) > 2
    assert {port.partition(":")[0] for port in ports} == {"127.0.0.1"}


def test_what_the_lab_itself_adds_to_a_container_is_no_path() -> None:
    revision = REVISIONS[1]
    body = body_of(revision, {}, name="app-1.1", slot=1, generation=1, labels={})
    binds = [
        text for path in SOURCES for text in re.findall(r'"Binds": \[f?"([^"]+)"', path.read_text(encoding="utf-8"))
    ]

    assert "HostConfig" not in body
    assert "Mounts" not in body
    # the load's is the only container of ours that no manifest makes and that has a volume
    assert binds == ["{self._compose_name}_runs:{RUNS}"]


READERS = {"lab/docker_engine.py", "lab/compat/containers.py"}
"""They read it, for the proxy to route by, or to know a client of the database by."""
CLIENTS = {"asyncio", "aiohttp", "http", "httpx", "requests", "socket", "urllib"}
"""What opens connections."""
HANDS_IT_ON = {"lab/gateway.py"}
"""It has a client of the proxy's admin API, and tells the proxy by it where a replica is."""


def test_no_container_s_address_is_used_from_the_host() -> None:
    """Whoever reads one is known; who handles one opens no connection, but for the one who tells the proxy of it."""
    readers, users = set(), set()
    for path in SOURCES:
        name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        readers |= {name} if '"IPAddress"' in text else set()
        handles = any(isinstance(node, ast.Attribute) and node.attr == "address" for node in ast.walk(tree))
        users |= {name} if handles and clients_of(tree) else set()

    assert readers == READERS
    assert users == HANDS_IT_ON


def clients_of(tree: ast.AST) -> set[str]:
    """What it imports of those that open connections."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names} & CLIENTS


def test_every_address_that_the_lab_connects_to_is_the_loopback_s() -> None:
    urls = {url for path in SOURCES for url in re.findall(r'f"(https?://[^"/]*)', path.read_text(encoding="utf-8"))}

    assert len(urls) > 1
    assert {url for url in urls if not url.startswith("http://127.0.0.1:")} == set()


def test_native_windows_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    assert main(["up"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "WSL2" in said.err
    assert "[platform]" in said.err
