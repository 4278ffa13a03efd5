"""PURE: the matrix's own database server, made from the manifest's: thrown away, and in memory unless it is too large.

On a disk each of the phases' copies takes a quarter of a second, in memory a fortieth; nothing of it has to outlive the
run.
"""

import json
from collections.abc import Mapping
from typing import Any

DATA = "/var/lib/postgresql/data"
LOG = "lab-compat"
SETTINGS = {
    # nothing here outlives the run
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # every copy of a database is written there as well; in memory that has to be given back soon
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    # what the apps run, and what of it failed and why
    "logging_collector": "on",
    "log_destination": "csvlog",
    "log_directory": "lab-log",
    "log_filename": LOG,
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "log_statement": "all",
    "log_min_error_statement": "error",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "autovacuum": "off",
}
_MIB = 1024 * 1024
_OWN_FOLDER = 'mkdir -p -m 0700 "$PGDATA" && exec "$@"'


def scratch(spec: Mapping[str, Any], *, memory: int, account: Mapping[str, str]) -> dict[str, Any]:
    """The body of a container like the database's, with no data of the manifest's. `memory`: MiB, 0 is on the disk.

    `account`: the user, password and db that it is to have: the lab's, whatever the manifest's own server has.
    """
    body: dict[str, Any] = json.loads(json.dumps(spec))
    names = {f"POSTGRES_{key.upper()}" for key in account}
    body["Env"] = [one for one in body.get("Env") or [] if one.partition("=")[0].removesuffix("_FILE") not in names]
    body["Env"] += [f"POSTGRES_{key.upper()}={value}" for key, value in account.items()]
    command = list(body.get("Cmd") or ["postgres"])
    for key, value in SETTINGS.items():
        command += ["-c", f"{key}={value}"]
    body["Cmd"] = command
    # it is asked itself until it answers; the engine need not start a program for that every two seconds
    body["Healthcheck"] = {"Test": ["NONE"]}
    host, held = body["HostConfig"], {DATA, _variable(body, "PGDATA")}
    host["Binds"] = [one for one in host.get("Binds") or [] if not _holds(one.split(":")[1], held)]
    host["Mounts"] = [one for one in host.get("Mounts") or [] if not _holds(one["Target"], held)]
    if memory:
        _in_memory(body, memory)
    else:
        body["Volumes"] = {**(body.get("Volumes") or {}), DATA: {}}
    return body


def _in_memory(body: dict[str, Any], memory: int) -> None:
    """The server insists on a folder that is its user's own, whoever that is; what is mounted there is root's."""
    host, folder = body["HostConfig"], f"{DATA}/{LOG}"
    host["Tmpfs"] = {**(host.get("Tmpfs") or {}), DATA: f"rw,mode=1777,size={memory * _MIB}"}
    for limit in ("Memory", "MemorySwap"):  # what stands in it counts as the container's
        if (host.get(limit) or 0) > 0:
            host[limit] += memory * _MIB
    body["Volumes"] = {path: it for path, it in (body.get("Volumes") or {}).items() if path != DATA}
    body["Env"] = [one for one in body.get("Env") or [] if not one.startswith("PGDATA=")] + [f"PGDATA={folder}"]
    body["Entrypoint"] = ["sh", "-c", _OWN_FOLDER, "sh", *(body.get("Entrypoint") or [])]


def _variable(body: Mapping[str, Any], name: str) -> str:
    values = [one.partition("=")[2] for one in body.get("Env") or [] if one.startswith(f"{name}=")]
    return values[-1] if values else DATA


def _holds(target: str, folders: set[str]) -> bool:
    """One of the folders is in what is mounted at the target."""
    return any(f"{folder}/".startswith(f"{target.rstrip('/')}/") for folder in folders)
