"""What helps against versions that do not get on with the schema: the command, from the phases' own promises."""

from collections.abc import Iterable

from lab.proof.records import Promise, RunFacts

BETWEEN = " -> "
BROWSER = "browser"
"""The load's cohort of pages, whose faults are no schema's."""
PAGES = (
    "both versions have to answer for both pages: lay the new hashed files out before the roll, and keep the old ones"
    " until after it; a script reads only what both versions answer"
)


def promised(facts: RunFacts, versions: Iterable[str], phase: str) -> bool | None:
    """Whether the plan says that these are right on that phase; of a step under way, on both of its phases.

    None: there is no such phase in the plan.
    """
    names = {facts.serves_as.get(version, version) for version in versions}
    found = [promise for promise in facts.promises if promise.phase in phase.split(BETWEEN)]
    return all(names <= promise.serves for promise in found) if found else None


def advice(facts: RunFacts, versions: Iterable[str], phase: str) -> str:
    """One line: the steps that lead to where they are served, or the way out of a promise that is not kept."""
    names = sorted({facts.serves_as.get(version, version) for version in versions})
    told = " and ".join(names)
    match promised(facts, names, phase):
        case None:
            return f"lab migrate status     which phases serve {told}?"
        case True:
            out = f"lab rollback takes {facts.to_version} out of it again; then mend the schema's plan"
            shows = f"lab compat{''.join(f' {name}' for name in names if len(names) > 1)} shows it without a roll"
            return f"{out}: it promises that {told} {'are' if len(names) > 1 else 'is'} right on {phase}; {shows}"
        case False:
            return _way(facts, set(names), phase.rpartition(BETWEEN)[2], told)


def _way(facts: RunFacts, names: set[str], phase: str, told: str) -> str:
    at = next(i for i, promise in enumerate(facts.promises) if promise.phase == phase)
    steps: list[Promise] = []
    for promise in facts.promises[at + 1 :]:
        if promise.contracts:
            break
        steps.append(promise)
        if names <= promise.serves:
            commands = ", then ".join(dict.fromkeys(step.command for step in steps))
            return f"{commands}     {promise.phase} serves {told}"
    kept = " and ".join(sorted(facts.promises[at].serves)) or "nobody"
    return f"no step leads to a phase that serves {told}; {phase} serves {kept}: lab roll to what it serves"
