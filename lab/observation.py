"""One view of the fleet out of two, the engine's and the proxy's."""

from dataclasses import replace

from lab.model import Container, Place, Replica
from lab.ports import Engine, Gateway, Route, Seen, Sight


class WholeLook:
    """Looks at everything, every time."""

    def __init__(self, engine: Engine, gateway: Gateway) -> None:
        self._engine = engine
        self._gateway = gateway

    async def look(self, *, whole: bool) -> Sight:  # noqa: ARG002  it can do nothing less
        routing = await self._gateway.routing()
        replicas = merge(await self._engine.replicas(), routing.routes)
        return Sight(seq=routing.seq, now_ns=routing.now_ns, replicas=replicas)


def merge(seen: tuple[Seen, ...], routes: tuple[Route, ...]) -> tuple[Replica, ...]:
    """Join the engine's and the proxy's view. A route without a container is a replica that has ended."""
    by_name = {route.name: route for route in routes}
    replicas = [_replica(s, by_name.pop(s.name, None)) for s in seen]
    replicas += [_replica(_ghost(route), route) for route in by_name.values()]
    return tuple(sorted(replicas, key=lambda r: (r.slot, r.generation)))


def _replica(seen: Seen, route: Route | None) -> Replica:
    base = Replica(
        name=seen.name,
        slot=seen.slot,
        generation=seen.generation,
        revision=seen.revision,
        version=seen.version,
        container=seen.container,
        container_id=seen.container_id,
        address=seen.address,
        exit_code=seen.exit_code,
        oom=seen.oom,
        check=seen.check,
        check_said=seen.check_said,
    )
    if route is None:
        return base
    return replace(
        base,
        place=Place(route.place),
        health=route.health,
        ejected_by=route.ejected_by,
        ejected_ns=route.ejected_ns,
        falls=route.falls,
        relapses=route.relapses,
        proven=route.proven,
        in_flight=route.in_flight,
        streams=route.streams,
        websockets=route.websockets,
        aborted=route.aborted,
        cut=route.cut,
        requests=route.requests,
        errors=route.errors,
        joined_ns=route.joined_ns,
        retired_ns=route.retired_ns,
        deadline_ns=route.deadline_ns,
        probe=route.probe,
    )


def _ghost(route: Route) -> Seen:
    return Seen(
        name=route.name,
        slot=route.slot,
        generation=route.generation,
        revision=0,
        version=route.version,
        container=Container.EXITED,
        container_id="",
    )


def seen_of(r: Replica) -> Seen:
    """The engine's half of a replica."""
    return Seen(
        name=r.name,
        slot=r.slot,
        generation=r.generation,
        revision=r.revision,
        version=r.version,
        container=r.container,
        container_id=r.container_id,
        address=r.address,
        exit_code=r.exit_code,
        oom=r.oom,
        check=r.check,
        check_said=r.check_said,
    )
