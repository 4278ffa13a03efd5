"""PURE: may the schema take a version away? Every proof is needed, and each is shown with what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import LabError
from lab.migrate.plan import NOTHING, ChangePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds a lease. `version` None: one of which the plan does not speak."""

    version: str | None
    name: str
    pid: int
    seconds: float

    @property
    def told(self) -> str:
        return f"{self.name} holds a lease for {self.version or 'an unknown version'}, since {self.seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A replica of a version that is to be taken away, as the engine or the proxy sees it."""

    replica: str
    version: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A revision that somebody could still roll to without naming it."""

    revision: int
    version: str
    serves_as: str
    why: str
    may_be_given_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of the versions that a step takes away. `quiet`: seconds since the last of them was seen."""

    goal: str
    versions: frozenset[str]
    leases: tuple[Holder, ...] = ()
    containers: tuple[Standing, ...] = ()
    routes: tuple[Standing, ...] = ()
    targets: tuple[Target, ...] = ()
    wrong: Mapping[str, int] = field(default_factory=dict)
    soak: float = 0.0
    quiet: float | None = None
    unknown: tuple[str, ...] = ()
    """Proofs that could not be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One line of the guard. `fix`: what helps where it fails."""

    name: str
    found: str
    holds: bool
    fix: str = ""


def proofs(e: Evidence) -> tuple[Proof, ...]:
    """Every proof there is, in the order in which a person would mend them."""
    names = " and ".join(sorted(e.versions))
    targets = ", ".join(f"{t.version} (revision {t.revision}, {t.why})" for t in e.targets)
    given = " ".join(f"--give-up {v}" for v in sorted({t.serves_as for t in e.targets if t.may_be_given_up}))
    wrong = ", ".join(f"{name} {count}" for name, count in e.wrong.items() if count)
    soaked = e.soak == 0 or (e.quiet is not None and e.quiet >= e.soak)
    quiet = "no end of it is known" if e.quiet is None else f"{e.quiet:.0f} s of {e.soak:.0f} s"
    roll = "lab roll VERSION, one that stays"
    return (
        _none("leases", [holder.told for holder in e.leases], roll),
        _none("containers", [f"{s.replica} ({s.version}, {s.state})" for s in e.containers], roll),
        _none("routes", [f"{s.replica} ({s.version}, {s.state})" for s in e.routes], roll),
        _none("data", [wrong] if wrong else [], "lab migrate backfill; the rows that diverge are yours to decide"),
        _none("targets", [f"{targets}: you could still go back to it"] if targets else [], given or roll),
        Proof(
            name="soak",
            found="not asked for" if e.soak == 0 else quiet,
            holds=soaked,
            fix=f"wait: {names} has to be away for {e.soak:.0f} s",
        ),
        *(_none("unknown", [what], "lab up, lab status") for what in e.unknown),
    )


def refusal(e: Evidence) -> LabError | None:
    """None: every proof holds."""
    failed = [proof for proof in proofs(e) if not proof.holds]
    if not failed:
        return None
    names = " and ".join(sorted(e.versions))
    return LabError(
        id="schema-guard",
        what=f"{e.goal} takes {names} away, and {names} could still run",
        where="\n".join(f"{proof.name}: {proof.found}" for proof in failed),
        fix="; ".join(dict.fromkeys(_advice(proof) for proof in failed)),
    )


def roll_refusal(plan: ChangePlan | None, phase: str, version: str, gone: Mapping[str, str]) -> LabError | None:
    """Why a version (its `serves_as`) can not be rolled to any more, whatever anybody says; None if it can.

    `gone`: what the database says, `gone_versions`: it knows of a contraction that stands half done, too.
    """
    by_plan = plan is not None and phase != NOTHING and version in plan.gone_at(phase)
    if not by_plan and version not in gone:
        return None
    at = gone.get(version, phase)
    return LabError(
        id="version-gone",
        what=f"the schema is {at}: {version} can never run on it again",
        where="what it read and wrote was taken out of the database when the schema was contracted",
        fix="roll a version that the schema serves: lab migrate status",
    )


def _none(name: str, found: list[str], fix: str) -> Proof:
    return Proof(name=name, found="; ".join(found) or "none", holds=not found, fix=fix)


def _advice(proof: Proof) -> str:
    return f"lab migrate contract {proof.fix}" if proof.fix.startswith("--give-up") else proof.fix
