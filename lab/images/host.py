"""What a build needs to know of the network of the machine it runs on.

Networks that re-sign TLS, go through a proxy or keep an index of their own say so in pip's settings and in the
environment. Paths and file:// addresses mean nothing inside a build, so they stay behind.
"""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_URLS = {"index-url": "PIP_INDEX_URL", "extra-index-url": "PIP_EXTRA_INDEX_URL", "find-links": "PIP_FIND_LINKS"}
_WORDS = {
    "trusted-host": "PIP_TRUSTED_HOST",
    "proxy": "PIP_PROXY",
    "timeout": "PIP_TIMEOUT",
    "default-timeout": "PIP_DEFAULT_TIMEOUT",
    "retries": "PIP_RETRIES",
}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetwork:
    """Build arguments, the authorities to trust, and the network that the build's steps run in."""

    arguments: Mapping[str, str] = field(default_factory=dict)
    authorities: bytes = b""
    mode: str | None = None


def describe(environ: Mapping[str, str], pip: Mapping[str, str]) -> HostNetwork:
    """Return what the environment, and after it pip's configuration, say of the network."""
    arguments = {name: environ[name] for name in _PROXIES if environ.get(name)}
    for key, name in _URLS.items():
        kept = [url for url in (environ.get(name) or pip.get(key, "")).split() if _reachable(url)]
        if kept:
            arguments[name] = " ".join(kept)
    for key, name in _WORDS.items():
        if value := environ.get(name) or pip.get(key, ""):
            arguments[name] = value
    bundles = [environ.get(name, "") for name in _BUNDLES]
    bundles.insert(1, pip.get("cert", ""))
    return HostNetwork(
        arguments=arguments,
        authorities=next((Path(file).read_bytes() for file in bundles if file and Path(file).is_file()), b""),
        mode="host" if any(_is_loopback(url) for value in arguments.values() for url in value.split()) else None,
    )


def this_host() -> HostNetwork:
    return describe(os.environ, pip_settings(_pip_config()))


def pip_settings(listing: str) -> dict[str, str]:
    """Parse `pip config list`; a setting for `install` wins over a global one."""
    found: dict[str, str] = {}
    for line in sorted(listing.splitlines()):
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        if section in {"global", "install"}:
            found[key] = value.strip().strip("'\"")
    return found


def _pip_config() -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _reachable(url: str) -> bool:
    return urlsplit(url).scheme in {"http", "https"}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname if "://" in url else None
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
