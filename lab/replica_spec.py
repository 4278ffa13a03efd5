"""PURE: what makes a replica: the container that Compose made, without its identity and its secrets."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from lab.model import Revision

NUMBER_STRIDE = 1000
"""Compose's container numbers must be unique at all times: slot within the stride, generation above it."""
NUMBER = "com.docker.compose.container-number"
LABEL = "rollinglab."
CHECK_SECONDS = 30.0
"""The engine's own interval, where a healthcheck says none."""
_SETS: Mapping[str, Callable[[Any], str]] = {
    "Binds": str,
    "ExtraHosts": str,
    "Mounts": lambda mount: str(mount["Target"]),
    "Ulimits": lambda limit: str(limit["Name"]),
}


def spec_of(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """Config, HostConfig and networks of an inspected container, as the body that creates another like it.

    What is a set is sorted: Compose v2 writes it in another order each time, and that is no other revision.
    """
    config, host = dict(inspected["Config"]), dict(inspected["HostConfig"])
    config["Env"] = sorted(config.get("Env") or [])
    for key, by in _SETS.items():
        if host.get(key):
            host[key] = sorted(host[key], key=by)
    own = {inspected["Id"][:12], inspected["Name"].lstrip("/")}
    if config.get("Hostname") in own:
        config.pop("Hostname")
    networks = {
        name: _attachment(network, own) for name, network in sorted(inspected["NetworkSettings"]["Networks"].items())
    }
    config["HostConfig"] = host
    config["NetworkingConfig"] = {"EndpointsConfig": networks}
    return config


def attached(spec: Mapping[str, Any], networks: Mapping[str, list[str]]) -> dict[str, Any]:
    """The spec with these networks as well: name and aliases of each."""
    there = spec["NetworkingConfig"]["EndpointsConfig"]
    more = {name: {"Aliases": aliases} for name, aliases in networks.items() if name not in there}
    return {**spec, "NetworkingConfig": {"EndpointsConfig": {**there, **more}}}


def _attachment(network: Mapping[str, Any], own: set[str]) -> dict[str, Any]:
    """How it is attached to a network, but for what is this container's alone: names, addresses."""
    kept = {key: network[key] for key in ("Links", "DriverOpts") if network.get(key)}
    local = (network.get("IPAMConfig") or {}).get("LinkLocalIPs")
    kept |= {"IPAMConfig": {"LinkLocalIPs": local}} if local else {}
    return {"Aliases": sorted({alias for alias in (network.get("Aliases") or []) if alias not in own}), **kept}


def body_of(
    revision: Revision, secrets: Mapping[str, str], *, name: str, slot: int, generation: int, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The body that creates this replica of that revision."""
    body: dict[str, Any] = json.loads(reveal(revision.spec, secrets))
    body["Env"] = [*(body.get("Env") or []), f"LAB_REPLICA={name}"]
    body["Labels"] = {
        **(body.get("Labels") or {}),
        **labels,
        NUMBER: str((generation - 1) * NUMBER_STRIDE + slot),
        LABEL + "replica": name,
        LABEL + "slot": str(slot),
        LABEL + "generation": str(generation),
        LABEL + "revision": str(revision.number),
        LABEL + "version": revision.version,
    }
    return body


def first_check(spec: str) -> float | None:
    """When a replica's healthcheck is first asked, in seconds after its start. `spec`: as in Revision.

    None: it has none, or a start period, in which newer engines ask sooner.
    """
    check = json.loads(spec).get("Healthcheck") or {}
    asks = check.get("Test") or ["NONE"]
    if asks[0] == "NONE" or check.get("StartPeriod"):
        return None
    return (check.get("Interval") or 0) / 1e9 or CHECK_SECONDS


def networks_of(body: dict[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The body with the one network that it is created on, and the others that it is connected to before it starts.

    Older engines refuse to create a container on two.
    """
    endpoints = body["NetworkingConfig"]["EndpointsConfig"]
    mode = body["HostConfig"].get("NetworkMode")
    first = mode if mode in endpoints else next(iter(endpoints), None)
    one = {name: endpoint for name, endpoint in endpoints.items() if name == first}
    others = {name: endpoint for name, endpoint in endpoints.items() if name != first}
    return {**body, "NetworkingConfig": {"EndpointsConfig": one}}, others


def conceal(spec: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    """The spec as text, with names in the place of secrets: it goes into the journal."""
    text = json.dumps(spec, sort_keys=True)
    for key, value in secrets.items():
        text = text.replace(value, f"${{secret:{key}}}")
    return text


def reveal(text: str, secrets: Mapping[str, str]) -> str:
    for key, value in secrets.items():
        text = text.replace(f"${{secret:{key}}}", value)
    return text
