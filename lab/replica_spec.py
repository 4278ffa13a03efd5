"""PURE: what makes a replica: the container that Compose made, without its identity and its secrets."""

import json
from collections.abc import Mapping
from typing import Any

from lab.model import Revision

NUMBER_STRIDE = 1000
"""Compose's container numbers must be unique at all times: slot within the stride, generation above it."""
NUMBER = "com.docker.compose.container-number"
LABEL = "rollinglab."


def spec_of(inspected: Mapping[str, Any]) -> dict[str, Any]:
    """Config, HostConfig and networks of an inspected container, as the body that creates another like it."""
    config = dict(inspected["Config"])
    own = {inspected["Id"][:12], inspected["Name"].lstrip("/")}
    if config.get("Hostname") in own:
        config.pop("Hostname")
    networks = {
        name: {"Aliases": [alias for alias in (network.get("Aliases") or []) if alias not in own]}
        for name, network in inspected["NetworkSettings"]["Networks"].items()
    }
    config["HostConfig"] = inspected["HostConfig"]
    config["NetworkingConfig"] = {"EndpointsConfig": networks}
    return config


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
