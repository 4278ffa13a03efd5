"""What a version that was not kept had to do with the users' requests."""

from dataclasses import dataclass, field, replace

from lab.proof.classes import is_drop, made_by
from lab.proof.drops import Fleet, replica_of, version_of
from lab.proof.join import Joined
from lab.proof.records import Outcome, RunFacts, Service
from lab.proof.result import Blast, Class, MadeBy, VerdictOutcome

NEVER_ITS = frozenset({Class.NOT_SENT, Class.CLIENT_ABORT, Class.OPEN})
BROKEN_OFF = frozenset({Class.REFUSED, Class.RESET, Class.TRUNCATED, Class.TIMEOUT})


def is_told(rollout: Outcome, verdict: VerdictOutcome) -> bool:
    """Only of a version that is to stay, and did no harm, nobody needs to know this."""
    return rollout not in {Outcome.DONE, Outcome.NONE} or verdict is VerdictOutcome.FAIL


@dataclass(slots=True)
class BlastCount:
    """Counts the requests whose last word was the new version's: by its own headers, else by the proxy's ledger."""

    facts: RunFacts
    fleet: Fleet
    answered: int = 0
    errors: int = 0
    unanswered: int = 0
    replicas: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.replicas = frozenset(service.replica for service in self.facts.services)

    def take(self, joined: Joined, cls: Class) -> None:
        if cls in NEVER_ITS or not self._is_its(joined):
            return
        if cls is Class.GOOD:
            self.answered += 1
        elif cls in BROKEN_OFF or made_by(joined, cls) is MadeBy.PROXY:
            self.unanswered += 1
        else:
            self.answered += 1
            self.errors += is_drop(cls, joined.offer, strict=False)

    def blast(self, offered: int | None) -> Blast:
        services = self.facts.services
        told = Blast(
            version=self.facts.to_version,
            replicas=len(self.replicas),
            seconds=_seconds(services, self.facts.ended_ns),
        )
        if offered is None:
            return told
        return replace(
            told,
            answered=self.answered,
            errors=self.errors,
            unanswered=self.unanswered,
            share=round((self.answered + self.unanswered) / offered, 4) if offered else 0.0,
        )

    def _is_its(self, joined: Joined) -> bool:
        if replica_of(joined) in self.replicas:
            return True
        # one that a rollout before this one had admitted
        its = self.facts.to_version
        return its != self.facts.from_version and version_of(joined, self.fleet) == its


def _seconds(services: tuple[Service, ...], ended_ns: int) -> float:
    if not services:
        return 0.0
    begun = min(service.from_ns for service in services)
    over = max(ended_ns if service.until_ns is None else service.until_ns for service in services)
    return round((over - begun) / 1e9, 3)
