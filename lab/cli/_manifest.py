"""The options that say which Compose file a lab runs; it is remembered until `lab down`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.chosen import Chosen

OWN = "An app of your own"
PORTS = 65535
ManifestFile = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="A Compose file of your own; remembered.", metavar="FILE", rich_help_panel=OWN),
]
Service = Annotated[
    str | None,
    typer.Option("--service", help="Which of its services is rolled.", metavar="NAME", rich_help_panel=OWN),
]
ReadinessPath = Annotated[
    str | None,
    typer.Option("--readiness", help="Where a replica answers that it is ready.", metavar="PATH", rich_help_panel=OWN),
]
AppPort = Annotated[
    int | None,
    typer.Option("--app-port", help="Where it listens in its container.", metavar="PORT", rich_help_panel=OWN),
]
Paths = Annotated[
    str | None,
    typer.Option("--paths", help="What the load GETs: /,/items.", metavar="PATH,..", rich_help_panel=OWN),
]


def asked_for(
    project: str,
    file: Path | None,
    *,
    service: str | None,
    readiness: str | None,
    port: int | None,
    paths: str | None,
) -> "Chosen | None":
    """What is not said is as the project was started; None: nothing is said. UsageError for what cannot be meant."""
    from lab.chosen import Chosen, chosen_of
    from lab.manifest import Said
    from lab.project import checkout, project_at

    listed = tuple(path.strip() for path in paths.split(",")) if paths is not None else ()
    for flag, path in (("--readiness", readiness), *(("--paths", path) for path in listed)):
        if path is not None and not path.startswith("/"):
            raise UsageError(id="path", what=f"{flag} {path} is no path", fix=f"{flag} /health")
    if port is not None and not 0 < port <= PORTS:
        raise UsageError(id="port", what=f"--app-port {port} is no port", fix="--app-port 1 to 65535")
    if {file, service, readiness, port, paths} == {None}:
        return None
    now = chosen_of(project_at(checkout(), project))
    if file is not None and file.resolve() != now.path:
        now = Chosen(path=file.resolve(), said=Said())
    said = Said(
        service=service or now.said.service,
        readiness=readiness or now.said.readiness,
        port=port or now.said.port,
        paths=listed or now.said.paths,
    )
    return Chosen(path=now.path, said=said)
