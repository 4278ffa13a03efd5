"""The matrix's own database server is made from the manifest's, and has nothing of its data."""

from typing import Any

import pytest

from lab.compat import scratch as module
from lab.compat.scratch import DATA, SETTINGS

MIB = 1024 * 1024
ACCOUNT = {"user": "lab", "password": "p", "db": "lab"}


def scratch(spec: dict[str, Any], *, memory: int) -> dict[str, Any]:
    return module.scratch(spec, memory=memory, account=ACCOUNT)


def spec(**host: Any) -> dict[str, Any]:
    return {
        "Image": "postgres:16",
        "Env": ["PGDATA=/var/lib/postgresql/data", "POSTGRES_USER=lab"],
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["postgres", "-c", "max_connections=300"],
        "Volumes": {DATA: {}, "/other": {}},
        "HostConfig": {"Binds": [], "Mounts": None, "Tmpfs": {"/tmp": ""}, **host},
    }


def test_in_memory_it_has_a_folder_of_its_users_own_and_no_volume() -> None:
    made = scratch(spec(Memory=512 * MIB, MemorySwap=1024 * MIB), memory=100)

    assert made["HostConfig"]["Tmpfs"] == {"/tmp": "", DATA: f"rw,mode=1777,size={100 * MIB}"}
    assert made["Volumes"] == {"/other": {}}
    assert "PGDATA=/var/lib/postgresql/data/lab-compat" in made["Env"]
    assert "PGDATA=/var/lib/postgresql/data" not in made["Env"]
    # what it keeps in memory does not take from what it may use otherwise
    assert (made["HostConfig"]["Memory"], made["HostConfig"]["MemorySwap"]) == (612 * MIB, 1124 * MIB)
    assert made["Entrypoint"][-1] == "docker-entrypoint.sh"


@pytest.mark.parametrize("limit", [0, -1, None])
def test_a_container_without_a_limit_gets_none(limit: int | None) -> None:
    host = scratch(spec(Memory=limit, MemorySwap=limit), memory=100)["HostConfig"]

    assert (host["Memory"], host["MemorySwap"]) == (limit, limit)


def test_with_no_memory_it_keeps_its_data_in_a_volume_without_a_name() -> None:
    made = scratch(spec(), memory=0)

    assert made["HostConfig"]["Tmpfs"] == {"/tmp": ""}
    assert made["Volumes"] == {DATA: {}, "/other": {}}
    assert made["Entrypoint"] == ["docker-entrypoint.sh"]


@pytest.mark.parametrize("memory", [0, 100])
def test_the_manifests_own_data_are_not_touched(memory: int) -> None:
    binds = ["lab_db:/var/lib/postgresql/data:rw", "lab_db:/var/lib/postgresql", "/init:/docker-entrypoint-initdb.d:ro"]
    mounts = [{"Target": "/var/lib/postgresql/data"}, {"Target": "/run/secrets"}]

    host = scratch(spec(Binds=binds, Mounts=mounts), memory=memory)["HostConfig"]

    assert host["Binds"] == ["/init:/docker-entrypoint-initdb.d:ro"]
    assert host["Mounts"] == [{"Target": "/run/secrets"}]


def test_data_that_the_image_keeps_elsewhere_are_not_touched_either() -> None:
    elsewhere = {**spec(Binds=["lab_db:/data", "conf:/etc/conf"]), "Env": ["PGDATA=/data/pg"]}

    assert scratch(elsewhere, memory=100)["HostConfig"]["Binds"] == ["conf:/etc/conf"]


def test_its_own_settings_come_after_the_manifests() -> None:
    command = scratch(spec(), memory=100)["Cmd"]

    assert command[:3] == ["postgres", "-c", "max_connections=300"]
    assert {f"{key}={value}" for key, value in SETTINGS.items()} == set(command[4::2])


def test_it_has_the_labs_account_and_not_the_manifests() -> None:
    own = [
        "POSTGRES_USER=notes",
        "POSTGRES_PASSWORD_FILE=/run/secrets/db",
        "POSTGRES_DB=notes",
        "POSTGRES_INITDB_ARGS=-k",
    ]

    env = scratch({**spec(), "Env": own}, memory=0)["Env"]

    assert env == ["POSTGRES_INITDB_ARGS=-k", "POSTGRES_USER=lab", "POSTGRES_PASSWORD=p", "POSTGRES_DB=lab"]
