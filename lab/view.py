"""PURE: one view-model for status, watch and progress. It says what is; nobody decides by it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lab.model import Check, Container, EjectedBy, Health, Place, Replica, ending_words
from lab.ports import Event, Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaView:
    """One line of the fleet's table."""

    name: str
    version: str
    state: str
    in_flight: int
    info: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """The last run, while something of it is left to do. `pid`: of the command that does it; None: nobody does."""

    run: str
    kind: str
    to: str
    stage: str
    reason: str = ""
    pid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """The fleet at one instant."""

    project: str
    phase: str
    version: str | None
    replicas_wanted: int
    ready: int
    schema_phase: str | None
    url: str
    replicas: tuple[ReplicaView, ...]
    notes: tuple[str, ...] = ()
    rollout: RolloutView | None = None

    def to_json(self) -> dict[str, object]:
        return {"schema": "lab.status/1", **asdict(self)}


BAR = 20
_DETAIL = re.compile(r'"detail":\s*"([^"]+)"')
MARKS = {
    "ready": "✔",
    "joining": "◌",
    "starting": "◌",
    "created": "◌",
    "draining": "◐",
    "removable": "◐",
    "ejected": "✖",
    "unproven": "◌",
    "dead": "✖",
    "stopped": "◐",
}


def replica_view(r: Replica, now_ns: int) -> ReplicaView:
    return ReplicaView(name=r.name, version=r.version, state=state_of(r), in_flight=r.in_flight, info=_info(r, now_ns))


def state_of(r: Replica) -> str:
    if r.container is Container.EXITED:
        return "stopped" if r.retiring else "dead"
    if r.place is None:
        return "created" if r.container is Container.CREATED else "starting"
    return r.place if r.health is Health.UP or r.place is not Place.READY else r.health


def _info(r: Replica, now_ns: int) -> str:
    if r.container is Container.EXITED:
        return ending_words(r.exit_code, oom=r.oom)
    if r.place is Place.DRAINING and r.deadline_ns:
        return ", ".join(filter(None, (f"{max(0, (r.deadline_ns - now_ns) / 1e9):.0f}s left", r.endless)))
    if r.place is Place.READY and r.health is Health.UNPROVEN:
        return "not probed since the proxy came back"
    if r.place is Place.READY and r.ejected_by is EjectedBy.ERRORS:
        return "connection errors"
    if r.check is Check.UNHEALTHY or (r.check and r.proven and r.place is Place.JOINING):
        return f"healthcheck: {' '.join(filter(None, (r.check, r.check_said)))}"[:80]
    unwell = r.place is Place.JOINING or (r.place is Place.READY and r.health is Health.EJECTED)
    if unwell and r.probe and not r.probe.ok:
        return "last probe: " + _brief(r.probe.said)
    return ""


def hold_note(hold: Hold) -> str | None:
    if not (hold.on or hold.held):
        return None
    why = "until they are released" if hold.on else "for a ready replica"
    oldest = f", the oldest since {hold.oldest_ms / 1000:.1f}s" if hold.held else ""
    return f"requests wait in the proxy {why}: {hold.held}{oldest}"


def _brief(said: str) -> str:
    """What matters of a probe's answer: its detail, if it is the app's own envelope."""
    detail = _DETAIL.search(said)
    text = f"{said.split(maxsplit=1)[0]} {detail[1]}" if detail else said
    return " ".join(text.split())[:80]


def fleet_table(view: FleetView) -> list[str]:
    """The lines that `lab status` prints."""
    head = f"{view.project}: {view.ready}/{view.replicas_wanted} ready"
    head += f", {view.version}" if view.version else ""
    head += f", schema {view.schema_phase}" if view.schema_phase else ""
    lines = [f"{head}   {view.phase}   {view.url}"]
    rows = [("REPLICA", "VERSION", "STATE", "IN FLIGHT", "INFO")]
    rows += [
        (r.name, r.version, f"{MARKS.get(r.state, ' ')} {r.state}", str(r.in_flight), r.info) for r in view.replicas
    ]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines += [_row(row, widths) for row in rows]
    return lines + [f"note: {note}" for note in view.notes]


def live_frame(view: FleetView | None, lines: Sequence[str], *, seconds: float) -> list[str]:
    """One frame of what is repainted: the fleet, where the rollout is, and the last of its lines.

    `view` None: the lab cannot be asked now. `seconds`: since the frame's command began.
    """
    if view is None:
        table = ["the lab does not answer now; it is asked again"]
    else:
        table = fleet_table(view)
        table.insert(1, _bar(view))
    return [*table, "", *lines, f"[{seconds:6.1f}] Ctrl-C pauses after the step at hand"]


def _bar(view: FleetView) -> str:
    """How many of the replicas that there should be run the version that is gone to."""
    to = view.rollout.to if view.rollout else view.version
    there = sum(r.version == to and r.state == "ready" for r in view.replicas)
    wanted = max(view.replicas_wanted, 1)
    full = min(there, wanted) * BAR // wanted
    return f"{'█' * full}{'░' * (BAR - full)} {there}/{view.replicas_wanted} of {to or 'nothing'} ready"


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    name, version, state, in_flight, info = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return "  ".join((name, version, state, in_flight.strip().rjust(widths[3]), info)).rstrip()


_DONE = {
    "start": "started",
    "join": "joining",
    "admit": "ready",
    "retire": "draining",
    "restore": "restored",
    "stop": "stopped",
    "unroute": "unrouted",
    "delete": "removed",
}


def progress_line(event: Event, started_ns: int) -> str | None:
    """One line for a log: monotonic seconds, who, what, details. None for what a person need not see."""
    what = _progress(event)
    if what is None:
        return None
    who, state, detail = what
    seconds = max(0.0, (event.t_ns - started_ns) / 1e9)
    return f"[{seconds:6.1f}] {who:<10} {state:<10} {detail}".rstrip()


def _progress(event: Event) -> tuple[str, str, str] | None:
    """(who, state, details) of an event that a person wants to see."""
    if event.type in {"act-intended", "act-done"}:
        return _act(event.type, event.data)
    say = _SAY.get(event.type)
    return say(event.data) if say else None


def _act(type: str, d: Mapping[str, Any]) -> tuple[str, str, str] | None:
    verb = d["verb"]
    if type == "act-intended":
        draining = (d["replica"], "draining", f"{d['version']}, {d['in_flight']} in flight")
        return draining if verb == "retire" else None
    if verb in {"create", "retire", "unroute"} or "refused" in d:
        return None
    detail = d["version"]
    if verb == "stop":
        ended = [f"{d[what]} {what}" for what in ("cut", "aborted") if d.get(what)]
        deadline = f", {' and '.join(ended)} at the drain deadline" if ended else ""
        grace = ", killed: it had not ended when its stop grace was over" if d.get("overstayed") else ""
        detail += f", {ending_words(d['exit_code'], oom=d['oom'])}{grace}{deadline}"
    return d["replica"], _DONE[verb], detail


def _started(d: Mapping[str, Any]) -> tuple[str, str, str]:
    spec = d["spec"]
    how = f"{d['replicas']} replicas, surge {spec['surge']}, unavailable {spec['unavailable']}, {spec['strategy']}"
    return d["kind"], "started", f"{d['from'] or 'nothing'} -> {d['to']}   {how}"


def _load_started(d: Mapping[str, Any]) -> tuple[str, str, str]:
    page = f", Locust's own page on http://127.0.0.1:{d['web']}" if d.get("web") else ""
    return "load", "started", f"{d['rate']:g} requests/s{page}"


def _waiting(d: Mapping[str, Any]) -> tuple[str, str, str]:
    left = f", {d['left']:.0f}s left" if d["left"] is not None else ""
    return "waiting", "for", f"{d['on']}{left}"


_TURNS = {
    "baked": "baked",
    "held": "holding",
    "released": "goes on",
    "paused": "paused",
    "resumed": "resumed",
    "aborted": "aborting",
    "failed": "failed",
}


def _turned(d: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The way back has a line of its own, and so has the reason why a version failed."""
    happening = d["happening"]
    if happening == "wave-serves":
        return "roll", "baking", f"{d['serving']} of the new version in rotation"
    told = d["cause"] in {"version", "gate"} and happening in {"paused", "aborted", "failed"}
    if happening not in _TURNS or (told and happening == "failed"):
        return None
    return "roll", _TURNS[happening], "" if told else d["reason"]


def _try_failed(d: Mapping[str, Any]) -> tuple[str, str, str]:
    again = "" if d["last"] else "; its slot tries again"
    return d["replica"] or f"slot {d['slot']}", "failed", d["reason"] + again


def _asked(d: Mapping[str, Any]) -> tuple[str, str, str]:
    to = d.get("replicas") or (f"revision {d['to']}" if d.get("to") else None)
    return "operator", "asks for", d["command"] + (f" to {to}" if to else "")


def _away(d: Mapping[str, Any]) -> tuple[str, str, str]:
    seconds = d["seconds"]
    what = f"nobody looked for {seconds:.0f}s" if seconds >= 0 else f"the clock went back by {-seconds:.0f}s"
    return "roll", "was away", f"{what}: no deadline counts that"


def mix_words(d: Mapping[str, Any]) -> str:
    """Of a `mix-seen`: whose write was answered wrong by whom, and how often so far."""
    return f"{d['count']} wrong: written by {d['writer'] or 'an unknown version'}, read by {d['reader']}"


_SAY: dict[str, Callable[[Mapping[str, Any]], tuple[str, str, str] | None]] = {
    "rollout-started": _started,
    "rollout-resumed": lambda d: ("roll", "goes on", f"as the run that it was, by pid {d['pid']}"),
    "load-adopted": lambda _: ("load", "adopted", "it went on meanwhile"),
    "replica-died": lambda d: (
        d["replica"],
        "died",
        f"{d['version']}, {ending_words(d['exit_code'], oom=d['oom'])}, {d['in_flight']} in flight",
    ),
    "version-failed": lambda d: ("roll", "failed", d["reason"]),
    "turned-back": lambda d: ("roll", "back to", d["version"]),
    "schema-step": lambda d: ("schema", d["phase"], d["what"]),
    "load-started": _load_started,
    "mix-seen": lambda d: ("data", d["fault"], mix_words(d)),
    "waiting": _waiting,
    "phase-changed": _turned,
    "try-failed": _try_failed,
    "asked": _asked,
    "refused": lambda d: ("operator", "refused", f"{d['command']}: {d['why']}"),
    "scaled": lambda d: ("roll", "scaled", f"to {d['replicas']} replicas"),
    "looked-away": _away,
}
