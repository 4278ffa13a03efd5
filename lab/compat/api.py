"""PURE: level 0, the API: whose clients meet whose servers, and what they find."""

from collections.abc import Mapping, Sequence
from itertools import permutations

from lab.compat.apidiff import api_changes
from lab.compat.checks import Checks
from lab.compat.model import Api
from lab.compat.recordings import Recording
from lab.migrate.plan import ChangePlan


def compared(
    plan: ChangePlan, versions: Sequence[str], checks: Checks | None, recorded: Mapping[str, Recording]
) -> tuple[Api, ...]:
    """Every version's clients at every other's servers. Promised: those that are out there while both are served."""
    clients = (checks.clients if checks else None) or frozenset(versions[:1])
    found = []
    for client, server in permutations(versions, 2):
        mine, theirs = (recorded[name].openapi if name in recorded else None for name in (client, server))
        known = mine is not None and theirs is not None
        together = any({client, server} <= phase.serves for phase in plan.phases)
        changes = api_changes(mine, theirs) if mine is not None and theirs is not None else ()
        promised = known and client in clients and together
        found.append(Api(client=client, server=server, promised=promised, known=known, changes=changes))
    return tuple(found)
