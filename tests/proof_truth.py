"""Who harms a lab from outside, and what is known of the harm without the proof: for the soak of the verdict."""

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from lab.proof import Class
from lab.selftest import asked_again, left_unanswered, wrong_writes
from lab.selftest.truth import SESSIONS
from tests.cut_network import Outage, Wire
from tests.e2e.conftest import ROOT, LabCommand
from tests.wire_truth import Instant, answered_elsewhere, ended_within, unanswered_in, visits_of

SWITCH = "/v1/test/cut-switch"
STILL_WRITES_NS = 50_000_000
"""So long after its connections were reset may a busy app still say of an answer that it was written."""
NO_ANSWER = frozenset({"server_error", "timeout", "reset", "truncated"})


@dataclass(frozen=True, kw_only=True)
class Truth:
    """harmed: by class, the requests that must be found. victims: replicas killed from outside.

    parcels: those that the app lost: whoever wrote the same again before was answered with them as well.
    perhaps: sent again, and no log tells whether the first attempt was sent at all: only then they are masked.
    silenced: their answer was lost on the wire; the class tells who gave up first. sessions: those of them that may end
    in order at the drain deadline, and go on elsewhere. doubtful: answered in the instant of a cut, and no log tells on
    which side of it.
    """

    harmed: Mapping[Class, frozenset[str]]
    silenced: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    parcels: frozenset[int] = frozenset()
    victims: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        return len(self.silenced.union(*self.harmed.values()))


class Saboteur:
    """Acts in a thread of its own, at its time, and remembers what it did."""

    def __init__(self, lab: LabCommand) -> None:
        self._lab = lab
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.victims: set[str] = set()
        self.outages: list[Outage] = []
        self.instants: list[Instant] = []
        self.switched = False

    def begin(self, sabotage: "Callable[[Saboteur], None]") -> None:
        def act() -> None:
            try:
                sabotage(self)
            except Exception as error:  # noqa: BLE001  raised where it ends
                self._error = error

        self._thread = threading.Thread(target=act)
        self._thread.start()

    def end(self) -> None:
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def kill(self, at: float, seed: float) -> None:
        victim = self._victim(at, seed)
        if victim:
            self.victims.add(victim)
            _docker("kill", f"lab-{self._lab.project}-{victim}")

    def pause(self, at: float, seed: float, seconds: float) -> None:
        victim = self._victim(at, seed)
        if victim and _docker("pause", f"lab-{self._lab.project}-{victim}"):
            time.sleep(seconds)
            _docker("unpause", f"lab-{self._lab.project}-{victim}")

    def reset(self, at: float, seed: float, deaf: float) -> None:
        victim = self._victim(at, seed)
        wire = Wire(f"lab-{self._lab.project}-{victim}")
        if victim and wire.there:
            self.victims.add(victim)
            began, ended = wire.reset(deaf=deaf)
            self.instants.append(Instant(replica=victim, began=began, ended=ended + STILL_WRITES_NS))

    def unplug(self, at: float, seed: float, seconds: float) -> None:
        victim = self._victim(at, seed)
        wire = Wire(f"lab-{self._lab.project}-{victim}")
        if victim and wire.there:
            self.victims.add(victim)
            off_after, off_by, on = wire.unplug(seconds)
            self.outages.append(Outage(replica=victim, off_after=off_after, off_by=off_by, on=on))
            self.instants.append(Instant(replica=victim, began=off_after, ended=off_by))

    def cut(self, at: float, every: int) -> None:
        time.sleep(at)
        self._turn(every)
        self.switched = True

    def cut_ids(self) -> frozenset[str]:
        """Whose answers it cut; it is off from here on."""
        if not self.switched:
            return frozenset()
        ids = frozenset(self._call("GET", SWITCH)["cut"])
        self._call("POST", "/v1/lease", {"owner": _OWNER, "ttl_ms": 5000})
        self._turn(0)
        self._call("DELETE", "/v1/lease", {"fence": self._call("GET", "/v1/state")["fence"]})
        return ids

    def _turn(self, every: int) -> None:
        """With the fence of whoever rolls: the switch is nobody's routing."""
        fence = self._call("GET", "/v1/state")["fence"]
        self._call("PUT", SWITCH, {"fence": fence, "every": every})

    def _victim(self, at: float, seed: float) -> str:
        """One that serves at that time, by chance."""
        time.sleep(at)
        rows = [row for row in self._call("GET", "/v1/state")["replicas"] if row["place"] == "ready"]
        busy = [row["replica"] for row in rows if row["in_flight"]] or [row["replica"] for row in rows]
        return Random(seed).choice(sorted(busy)) if busy else ""

    def _call(self, method: str, path: str, body: object = None) -> Any:
        home = ROOT / ".lab" / self._lab.project
        token = json.loads((home / "secrets.json").read_text())["admin_token"]
        proxy = next(name for name in self._lab.containers if "proxy" in name)
        port = subprocess.run(["docker", "port", proxy, "9000"], capture_output=True, text=True, check=True).stdout
        request = urllib.request.Request(
            f"http://127.0.0.1:{port.split(':')[1].split()[0]}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


_OWNER = {"host": "h", "boot": "b", "pid": 1, "start": "s", "command": "soak", "home": "soak"}


def truth_of(folder: Path, verdict: Mapping[str, Any], saboteur: Saboteur) -> Truth:
    run = str(verdict["run"]["run"])
    by_replica = {path.stem: path.read_bytes().splitlines() for path in sorted((folder / "logs").glob("*.log"))}
    logs = list(by_replica.values())
    harmed: dict[Class, set[str]] = {cls: set(ids) for cls, ids in left_unanswered(logs, run).items()}
    harmed.setdefault(Class.SERVER_ERROR, set()).update(_errors(logs, run))
    harmed[Class.LOST_WRITE] = set(wrong_writes(logs, run, "loses-writes"))
    harmed[Class.DUPLICATE] = set(wrong_writes(logs, run, "writes-twice"))
    harmed.setdefault(Class.TRUNCATED, set()).update(saboteur.cut_ids())
    found = {cls: frozenset(ids) for cls, ids in harmed.items() if ids}
    visits = visits_of(by_replica, run)
    lost = unanswered_in(saboteur.outages, visits)
    elsewhere = answered_elsewhere(saboteur.outages, visits)
    perhaps = asked_again(logs, run) | (lost & elsewhere)
    found = {cls: ids - lost for cls, ids in found.items()}
    found[Class.MASKED] = found.get(Class.MASKED, frozenset()) - perhaps
    parcels = frozenset(row["parcel"] for log in logs for row in _faults(log) if "parcel" in row)
    return Truth(
        harmed=found,
        silenced=lost - elsewhere,
        sessions=frozenset(visit.request for visit in visits if visit.path.startswith(SESSIONS)),
        doubtful=ended_within(saboteur.instants, visits) - lost,
        perhaps=perhaps,
        parcels=parcels,
        victims=frozenset(saboteur.victims),
    )


def differences(truth: Truth, verdict: Mapping[str, Any], *, contract_too: bool = False) -> list[str]:
    """What the verdict missed, and what it found that nobody did."""
    drops = {drop["id"]: drop for drop in verdict["drops"]}
    wrong = []
    dropped = {cls: ids for cls, ids in truth.harmed.items() if cls is not Class.MASKED}
    for cls, ids in dropped.items():
        may_be = {cls.value, "contract"} if contract_too else {cls.value}
        missed = sorted(i for i in ids if i not in drops or drops[i]["cls"] not in may_be)
        if missed:
            told = [(i, drops[i]["cls"] if i in drops else "not dropped") for i in missed[:3]]
            wrong.append(f"missed {len(missed)} {cls.value}: {told}")
    wrong += _missed_on_the_wire(truth, drops, verdict["cut"])
    known = truth.silenced.union(*dropped.values())
    invented = [
        drop for i, drop in drops.items() if i not in known and not _explained(drop, truth, contract_too=contract_too)
    ]
    if invented:
        wrong.append(
            f"invented {len(invented)}: {[(d['id'], d['cls'], d['detail'], d['app_saw']) for d in invented[:3]]}"
        )
    masked = len(truth.harmed.get(Class.MASKED, ()))
    perhaps = len(truth.perhaps | truth.doubtful)
    if not masked <= verdict["masked"] <= masked + perhaps:
        wrong.append(f"{verdict['masked']} masked, {masked} were, and {perhaps} may have been")
    return wrong


def _missed_on_the_wire(truth: Truth, drops: Mapping[str, Mapping[str, Any]], cut: int) -> list[str]:
    """`cut`: how many sessions the verdict calls cut in order; it names none of them."""
    told = [(i, drops[i]["cls"] if i in drops else "not dropped") for i in sorted(truth.silenced)]
    missed = [(i, cls) for i, cls in told if cls not in NO_ANSWER]
    sessions = [i for i, cls in missed if i in truth.sessions and cls == "not dropped"]
    if len(sessions) == len(missed) <= cut:
        return []
    return [f"missed {len(missed)} whose answer was lost on the wire: {missed[:3]}"]


def _explained(drop: Mapping[str, Any], truth: Truth, *, contract_too: bool) -> bool:
    """On its way to what was killed, a request is in no log of the app; what was lost is missed by who looks for it."""
    if (contract_too and drop["cls"] == "contract") or drop["id"] in truth.doubtful:
        return True
    if drop["cls"] == "lost_write" and any(f" parcel {parcel}," in drop["detail"] for parcel in truth.parcels):
        return True
    return drop["replica"] in truth.victims and drop["app_saw"] == "not begun"


def _errors(logs: list[list[bytes]], run: str) -> Iterator[str]:
    for log in logs:
        for line in log:
            row = json.loads(line) if line.startswith(b'{"e":"end"') else {"id": ""}
            if row["id"].startswith(f"{run}-") and row["status"] >= 500:
                yield row["id"]


def _faults(log: list[bytes]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in log if line.startswith(b'{"e":"fault"'))


def _docker(*words: str) -> bool:
    return subprocess.run(["docker", *words], capture_output=True, check=False).returncode == 0
