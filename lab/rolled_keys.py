"""PURE: the keys of Compose that a replicated, proxied service cannot have, and what to do instead.

All others are Compose's own business. A key can also come in by `extends`, so what Compose makes of the service is
looked at too, before a replica is made of it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lab.sections import BadKeyError

LISTEN = "leave it away: the proxy is the service's port (lab up --port), and asks each replica on x-lab.readiness.port"
NAME = "leave it away: replicas are called by their slot, app-1.1"
SIZE = "say the size as deploy.replicas, or lab up --replicas N"
NETWORK = "leave it away, or list networks: the proxy reaches each replica by its own address on a network they share"
ADDRESS = "leave it away: each replica gets an address of its own"
MODE = "leave it away: the fleet has deploy.replicas replicas"
PROFILES = "leave it away: what the lab rolls is always there (Compose would forget its replicas at `down`)"
DEPENDS = "turn it round, or leave it away: the replicas come and go, so nothing that Compose starts can wait for them"


def refuse(service: str, keys: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    """BadKeyError for the first key that the rolled service cannot have, or another service because of it."""
    at = f"services.{service}"
    for key, (wrong, what, instead) in _KEYS.items():
        if keys.get(key) is not None and wrong(keys[key]):
            raise BadKeyError(f"{at}.{key}", what, fix=instead)
    deploy = keys.get("deploy")
    mode = deploy.get("mode") if isinstance(deploy, dict) else None
    if mode is not None and mode != "replicated":
        raise BadKeyError(f"{at}.deploy.mode", f"{mode!r} is no fleet of a chosen size", fix=MODE)
    for name in _fixed(keys.get("networks")):
        raise BadKeyError(f"{at}.networks.{name}", "two replicas cannot have one address", fix=ADDRESS)
    for where in _dependents(service, others):
        raise BadKeyError(where, f"it cannot depend on {service}, which is rolled", fix=DEPENDS)


def refuse_made(service: str, spec: Mapping[str, Any]) -> None:
    """The same of what Compose made: Config, HostConfig and networks, as a container's creation takes them."""
    host, at = spec["HostConfig"], f"services.{service}"
    if host.get("PortBindings"):
        raise BadKeyError(f"{at}.ports", "replicas cannot share a port of the host", fix=LISTEN)
    mode = str(host.get("NetworkMode", "default"))
    if mode in {"host", "none"} or mode.startswith("container:"):
        raise BadKeyError(
            f"{at}.network_mode", f"{mode!r} leaves replicas without an address of their own", fix=NETWORK
        )
    if spec.get("MacAddress"):
        raise BadKeyError(f"{at}.mac_address", "two replicas cannot have one address", fix=ADDRESS)


_KEYS: Mapping[str, tuple[Callable[[Any], bool], str, str]] = {
    "ports": (bool, "replicas cannot share a port of the host", LISTEN),
    "container_name": (bool, "two replicas cannot have one name", NAME),
    "scale": (lambda _: True, "the size of the fleet is said elsewhere, and is never 0", SIZE),
    "network_mode": (bool, "it leaves replicas without an address of their own", NETWORK),
    "mac_address": (bool, "two replicas cannot have one address", ADDRESS),
    "profiles": (bool, "a service that is rolled cannot be left out", PROFILES),
}
_FIXED = ("ipv4_address", "ipv6_address", "mac_address")


def _fixed(networks: object) -> Iterator[str]:
    """The addresses that a network gives to this service alone, as the rest of their path."""
    for name, network in networks.items() if isinstance(networks, dict) else ():
        for key in _FIXED:
            if isinstance(network, dict) and network.get(key):
                yield f"{name}.{key}"


def _dependents(service: str, others: Mapping[str, Any]) -> Iterator[str]:
    """Where another service says that it needs this one, in one of Compose's four ways."""
    for name, other in others.items():
        for key in ("depends_on", "links", "volumes_from", "network_mode"):
            said = other.get(key) if isinstance(other, dict) else None
            words = [said.removeprefix("service:")] if isinstance(said, str) else said or ()
            if service in {str(word).partition(":")[0] for word in words}:
                yield f"services.{name}.{key}"
