"""Which Docker engine to talk to: the first that answers of DOCKER_HOST, the docker context, the known sockets.

Standard library only: `make lab-up` asks before anything is installed.
"""

import http.client
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lab.errors import EngineError

if TYPE_CHECKING:
    import ssl

PING_SECONDS = 2.0
_DENIED, _NO_SOCKET, _SILENT = "permission denied", "no such socket", "nothing listens there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place where an engine may answer, and who named it."""

    url: str
    source: str
    tls_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An engine that answered. `tried` says why the candidates before it did not."""

    url: str
    source: str
    tried: tuple[str, ...] = ()
    tls_dir: Path | None = None


Probe = Callable[[Candidate], str]


def ping(candidate: Candidate) -> str:
    """Ask for `/_ping`; the answer is empty if an engine answers, else the reason why not."""
    try:
        link = connection(candidate)
    except ValueError as error:
        return str(error)
    try:
        link.request("GET", "/_ping")
        status = link.getresponse().status
    except FileNotFoundError:
        return _NO_SOCKET
    except PermissionError:
        return _DENIED
    except ConnectionRefusedError:
        return _SILENT
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        link.close()
    return "" if status == http.client.OK else f"answers {status} to a ping"


def resolve(environ: Mapping[str, str], home: Path, probe: Probe = ping) -> Endpoint:
    """Return the first endpoint that answers; EngineError names all that were tried.

    Its id is `docker-permission`, `docker-down` (no engine has its socket there, or listens) or `docker-unreachable`.
    """
    tried: list[str] = []
    for candidate in candidates(environ, home):
        reason = probe(candidate)
        if not reason:
            return Endpoint(url=candidate.url, source=candidate.source, tried=tuple(tried), tls_dir=candidate.tls_dir)
        tried.append(f"{candidate.url} ({candidate.source}): {reason}")
    id, what, fix = _diagnosis(tried, environ.get("USER") or "this user")
    raise EngineError(id=id, what=what, where="; ".join(tried), fix=fix)


def candidates(environ: Mapping[str, str], home: Path) -> tuple[Candidate, ...]:
    """Return where an engine may answer, in the order of preference, each address once."""
    config = Path(environ.get("DOCKER_CONFIG") or home / ".docker")
    found = [*_from_environment(environ, config), *_from_context(environ, config)]
    found += [Candidate(url=f"unix://{path}", source="known socket") for path in _known_sockets(environ, home)]
    return tuple({candidate.url: candidate for candidate in reversed(found)}.values())[::-1]


def connection(candidate: Candidate | Endpoint) -> http.client.HTTPConnection:
    """Return an unopened connection; ValueError says why there can be none."""
    parts = urlsplit(candidate.url)
    if parts.scheme == "unix":
        return _UnixConnection(parts.netloc + parts.path)
    if parts.scheme not in {"tcp", "http", "https"} or not parts.hostname:
        raise ValueError("the lab uses published loopback ports, so it needs a unix:// or tcp:// address")
    port = parts.port or 2375
    if candidate.tls_dir is None and parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname, port, timeout=PING_SECONDS)
    return http.client.HTTPSConnection(parts.hostname, port, timeout=PING_SECONDS, context=_tls(candidate.tls_dir))


def _from_environment(environ: Mapping[str, str], config: Path) -> list[Candidate]:
    url = environ.get("DOCKER_HOST", "")
    if not url:
        return []
    tls = Path(environ.get("DOCKER_CERT_PATH") or config) if environ.get("DOCKER_TLS_VERIFY") else None
    return [Candidate(url=url, source="DOCKER_HOST", tls_dir=tls)]


def _from_context(environ: Mapping[str, str], config: Path) -> list[Candidate]:
    name = environ.get("DOCKER_CONTEXT") or _text(_read(config / "config.json"), "currentContext")
    if name in {"", "default"}:
        return []
    for file in sorted((config / "contexts" / "meta").glob("*/meta.json")):
        meta = _read(file)
        if _text(meta, "Name") != name:
            continue
        url = _text(meta, "Endpoints", "docker", "Host")
        tls = config / "contexts" / "tls" / file.parent.name / "docker"
        if url:
            source = f"docker context {name}"
            return [Candidate(url=url, source=source, tls_dir=tls if tls.is_dir() else None)]
    return []


def _known_sockets(environ: Mapping[str, str], home: Path) -> list[Path]:
    sockets = [
        Path("/var/run/docker.sock"),
        home / ".docker/run/docker.sock",
        home / ".colima/default/docker.sock",
    ]
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        sockets.append(Path(runtime) / "docker.sock")
    return sockets


def _read(file: Path) -> object:
    try:
        document: object = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document


def _text(document: object, *keys: str) -> str:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=PING_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PING_SECONDS)
        self.sock.connect(self._path)


def _tls(folder: Path | None) -> "ssl.SSLContext":
    import ssl

    if folder is None:
        return ssl.create_default_context()
    try:
        authority = folder / "ca.pem"
        context = ssl.create_default_context(cafile=str(authority) if authority.exists() else None)
        if (folder / "cert.pem").exists():
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:
        raise ValueError(f"cannot read the TLS keys in {folder}: {error}") from error
    return context


def _diagnosis(tried: list[str], user: str) -> tuple[str, str, str]:
    """(id, what, fix): who may not ask, what does not run and what cannot be reached are mended in different ways."""
    if any(reason.endswith(_DENIED) for reason in tried):
        fix = f"sudo usermod -aG docker {user}, then log in again"
        return "docker-permission", f"Docker is there, and {user} may not ask it", fix
    start = "start Docker (Docker Desktop, colima start, or: sudo systemctl start docker)"
    if all(reason.endswith((_NO_SOCKET, _SILENT)) for reason in tried):
        return "docker-down", "Docker does not run", f"{start}, or set DOCKER_HOST"
    return "docker-unreachable", "no Docker engine answers", f"{start}; or mend DOCKER_HOST or the docker context"
