"""PURE: what crashed runs and deleted checkouts left on an engine: only what provably nobody owns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.durations import age_words
from lab.ownership import IMAGE_PREFIX

BUILD_SECONDS = 3600.0
"""Longer than any build: what is older is not being built on."""
LABEL, COMPOSE = "rollinglab.", "com.docker.compose."


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One thing to remove. `kind`: container, lab, image or run; of a lab everything goes that carries its name."""

    kind: str
    name: str
    id: str
    why: str


def abandoned_labs(rows: Iterable[Mapping[str, Any]], exists: Callable[[str], bool]) -> list[Left]:
    """Labs whose checkout is gone from this host. `rows`: all containers of an engine of this host, as it lists them.

    A container is the lab's own by our label, or by the label that only our proxy's image has.
    """
    homes: dict[str, str] = {}
    for row in rows:
        labels = row["Labels"]
        project = str(labels.get(COMPOSE + "project", ""))
        ours = LABEL + "home" in labels or LABEL + "part" in labels
        home = labels.get(LABEL + "home") or _home(str(labels.get(COMPOSE + "project.working_dir", "")))
        if ours and home and project.startswith("lab-"):
            homes.setdefault(project, home)
    return [
        Left(kind="lab", name=project, id=project, why=f"its checkout {home} is gone")
        for project, home in sorted(homes.items())
        if not exists(home)
    ]


def _home(working_dir: str) -> str:
    """The manifest's folder is `compose` in the checkout."""
    return working_dir.removesuffix("/compose") if working_dir.endswith("/compose") else ""


def abandoned_containers(rows: Sequence[Mapping[str, Any]], *, service: str, going_on: str | None) -> list[Left]:
    """Of one lab in which nobody is at work. `rows`: its containers; `going_on`: the run that is not judged yet."""
    found = []
    for row in rows:
        labels, name = row["Labels"], str(row["Names"][0]).lstrip("/")
        role, state = labels.get(LABEL + "role"), row["State"]
        run = labels.get(LABEL + "run")
        if role is None and labels.get(COMPOSE + "service") == service and state == "created":
            found.append(Left(kind="container", name=name, id=row["Id"], why="made for a revision, and never started"))
        elif role == "load" and state in {"exited", "dead", "created"} and run != going_on:
            found.append(Left(kind="container", name=name, id=row["Id"], why=f"the load of {run}, which is judged"))
    return found


def nameless_images(rows: Iterable[Mapping[str, Any]], now: float) -> list[Left]:
    """Images of ours that no name leads to: what a build stood on. `now`: seconds since 1970."""
    return [
        Left(
            kind="image",
            name=str(row["Id"]).removeprefix("sha256:")[:12],
            id=str(row["Id"]),
            why="has no name, and is old",
        )
        for row in rows
        if (row.get("Labels") or {}).get(LABEL + "part") and now - float(row["Created"]) > BUILD_SECONDS
    ]


def unused_images(
    rows: Iterable[Mapping[str, Any]], *, used: frozenset[str], wanted: frozenset[str], now: float, age: float
) -> list[Left]:
    """Images of ours that have a name, and that nobody runs or would run. Younger ones than `age` seconds stay.

    `rows`: as the engine lists images. `used`: ids of those that a container or a revision to go back to was made of.
    `wanted`: the names that the code of a checkout would ask for.
    """
    found = []
    for row in rows:
        names = [str(name) for name in row.get("RepoTags") or [] if name != "<none>:<none>"]
        ours = (
            bool(names)
            and all(name.startswith(IMAGE_PREFIX) for name in names)
            and LABEL + "part" in (row["Labels"] or {})
        )
        old = now - float(row["Created"])
        if ours and old >= age and row["Id"] not in used and not wanted.intersection(names):
            why = f"no lab uses it, made {age_words(old)} ago"
            found += [Left(kind="image", name=name, id=name, why=why) for name in names]
    return found


def old_runs(runs: Mapping[str, float], *, going_on: frozenset[str], now: float, age: float) -> list[Left]:
    """Runs whose folder nobody has touched for `age` seconds: name -> when it was. The newest is always kept."""
    newest = max(runs, default="")
    return [
        Left(kind="run", name=name, id=name, why=f"ended {age_words(now - touched)} ago")
        for name, touched in sorted(runs.items())
        if now - touched >= age and name not in going_on and name != newest
    ]


def left_lines(found: Sequence[Left], *, removed: bool) -> list[str]:
    if not found:
        return ["Nothing is left over."]
    width = max(len(one.name) for one in found)
    lines = [f"{one.kind:<9}  {one.name:<{width}}  {one.why}" for one in found]
    many = f"{len(found)} thing{'s' * (len(found) != 1)}"
    return [*lines, f"{many} removed." if removed else f"{many} to remove: lab gc"]
