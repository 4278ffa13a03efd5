"""The engine's image store, as much of it as the lab needs. The only module of this package that knows the SDK."""

import json
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Self

import docker
import docker.errors
import docker.tls
import requests

from lab.endpoint import Endpoint, resolve
from lab.errors import EngineError, LabError
from lab.images.context import digest

CALL_SECONDS = 300  # an import or a load of a few hundred megabytes
REGISTRY_SECONDS = 3
PULL_STALL_SECONDS = 10.0
_LOG_LINES = 15

Progress = Callable[[str], None]


class Store:
    """Images by reference. One per thread: the SDK's session is not to be shared."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._api = connect(endpoint, CALL_SECONDS)

    @classmethod
    def open(cls, environ: Mapping[str, str] | None = None) -> "Store":
        return cls(resolve(os.environ if environ is None else environ, Path.home()))

    def another(self) -> "Store":
        return Store(self.endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def has(self, reference: str) -> bool:
        return self._inspect(reference) is not None

    def fingerprint(self, reference: str) -> str:
        """Return a digest of the image's content: the same wherever the image was loaded.

        Not the image's id: that differs between the engine's two kinds of store.
        """
        image = self._inspect(reference)
        if image is None:
            raise EngineError(id="image-gone", what=f"image {reference} vanished", fix="run the command again")
        config = image["Config"]
        settings = json.dumps([config.get("Env"), config.get("User"), config.get("WorkingDir")])
        return digest(settings, *image["RootFS"]["Layers"])

    def image_id(self, reference: str) -> str:
        image = self._inspect(reference)
        return "" if image is None else str(image["Id"])

    def tag(self, image: str, reference: str) -> None:
        repository, _, tag = reference.rpartition(":")
        with _asking(f"tagging {reference}"):
            self._api.tag(image, repository, tag)

    def remove(self, reference: str) -> None:
        with suppress(docker.errors.ImageNotFound), _asking(f"removing {reference}"):
            self._api.remove_image(reference)

    def import_root(self, stream: IO[bytes], changes: list[str]) -> str:
        """Make an image of one layer from a tar of a root file system; return its id, untagged."""
        with _asking("importing a root file system"):
            answer: str = self._api.import_image(src=stream, changes=changes)
        last = json.loads(answer.strip().splitlines()[-1])
        if "error" in last:
            raise EngineError(id="image-import", what=f"the engine refused the import: {last['error']}")
        return str(last["status"])

    def build(
        self,
        context: bytes,
        reference: str,
        arguments: Mapping[str, str],
        network: str | None,
        *,
        cached: bool = True,
    ) -> None:
        """Build and tag; `cached` False: every step anew; LabError `image-build` carries the end of the build's log."""
        log: list[str] = []
        failure = ""
        with _asking(f"building {reference}"):
            events = self._api.build(
                fileobj=BytesIO(context),
                custom_context=True,
                tag=reference,
                buildargs=dict(arguments),
                network_mode=network,
                nocache=not cached,
                rm=True,
                forcerm=True,
                decode=True,
            )
            # read to the end also after an error: that is what gives the connection back
            for event in events:
                failure = failure or str(event.get("error", ""))
                log += str(event.get("stream", "")).splitlines()
        if failure:
            raise _build_error(reference, log, failure)

    def registry_answers(self, reference: str) -> bool:
        """Whether a registry knows the image, asked for a few seconds at most."""
        try:
            with connect(self.endpoint, REGISTRY_SECONDS) as api:
                api.inspect_distribution(reference)  # type: ignore[no-untyped-call]
        except (EngineError, docker.errors.DockerException, requests.RequestException):
            return False
        return True

    def pull(self, reference: str, progress: Progress) -> str:
        """Pull the image; the answer is empty, or why it was given up."""
        events: queue.Queue[dict[str, Any] | str | None] = queue.Queue()
        threading.Thread(target=self._pull, args=(reference, events), daemon=True).start()
        while True:
            try:
                event = events.get(timeout=PULL_STALL_SECONDS)
            except queue.Empty:
                return f"the pull made no progress for {PULL_STALL_SECONDS:.0f} s"
            if event is None:
                return ""
            if isinstance(event, str):
                return event
            if event.get("status") == "Pull complete":
                progress(f"{reference}: layer {event.get('id', '')} pulled")

    def save(self, references: Iterable[str]) -> Iterator[bytes]:
        """Yield one archive of all the images, as `docker save` makes it."""
        url = f"{self._api.base_url}/v{self._api.api_version}/images/get"
        names = [("names", reference) for reference in references]
        with (
            _asking("saving images"),
            self._api.get(url, params=names, stream=True, timeout=CALL_SECONDS) as answer,
        ):
            if not answer.ok:
                raise EngineError(id="image-save", what=f"the engine refused to save: {answer.text.strip()}")
            yield from answer.iter_content(1 << 20)

    def load(self, stream: IO[bytes]) -> None:
        with _asking("loading images"):
            events = list(self._api.load_image(stream))  # type: ignore[no-untyped-call]
        failure = next((str(event["error"]) for event in events if "error" in event), "")
        if failure:
            raise EngineError(
                id="image-load",
                what=f"the engine cannot load the file: {failure}",
                fix="lab images load takes a file that `lab images save` wrote, whole",
            )

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        try:
            with _asking(f"looking for {reference}"):
                image: dict[str, Any] = self._api.inspect_image(reference)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            return None
        return image

    def _pull(self, reference: str, events: "queue.Queue[dict[str, Any] | str | None]") -> None:
        repository, _, tag = reference.rpartition(":")
        try:
            with connect(self.endpoint, CALL_SECONDS) as api:
                for event in api.pull(repository, tag=tag, stream=True, decode=True):
                    events.put(str(event["error"]) if "error" in event else event)
        except (EngineError, docker.errors.DockerException, requests.RequestException) as error:
            events.put(str(error))
        events.put(None)


def connect(endpoint: Endpoint, seconds: int) -> docker.APIClient:
    """Return a low-level client whose calls end after that many seconds."""
    tls: docker.tls.TLSConfig | bool = False
    if endpoint.tls_dir is not None:
        folder = endpoint.tls_dir
        keys = (str(folder / "cert.pem"), str(folder / "key.pem"))
        authority = folder / "ca.pem"
        tls = docker.tls.TLSConfig(
            client_cert=keys if Path(keys[0]).exists() else None,
            ca_cert=str(authority) if authority.exists() else None,
            verify=True,
        )
    with _asking(f"talking to {endpoint.url}"):
        return docker.APIClient(base_url=endpoint.url, version="auto", timeout=seconds, tls=tls)


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except docker.errors.ImageNotFound:
        raise
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineError(
            id="engine-call",
            what=f"{what} failed: {error}",
            fix="see whether the engine runs and has space left: docker info, docker system df",
        ) from error


def _build_error(reference: str, log: list[str], error: str) -> LabError:
    plain = [line.replace("\x1b[91m", "").replace("\x1b[0m", "") for line in log]
    tail = [line for line in plain if line.strip()][-_LOG_LINES:]
    return LabError(
        id="image-build",
        what=f"building {reference} failed: {error.strip().splitlines()[-1]}",
        where="\n".join(tail),
        fix="see the log lines above; behind a proxy or an index of your own, set HTTPS_PROXY, PIP_INDEX_URL, "
        "PIP_CERT before the build, or bring the images: lab images load FILE",
    )
