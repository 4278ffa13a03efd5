"""The gateway adapter: the proxy's admin API over HTTP. The only importer of aiohttp in the lab."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import aiohttp

from lab.errors import GatewayError
from lab.model import EjectedBy, Health, Place, Probe
from lab.ports import Hold, Lease, Owner, Readiness, Route, Routing, Seen

CALL_SECONDS = 10.0


class ProxyGateway:
    """One connection pool to the admin API. `fence` is what the lease gave; every change carries it."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._http: aiohttp.ClientSession | None = None
        self.fence = 0

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._token}"})
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http:
            await self._http.close()

    async def is_up(self) -> bool:
        try:
            await self._call("GET", "/v1/health", seconds=1.0)
        except GatewayError:
            return False
        return True

    async def now_ns(self) -> int:
        clock = await self._call("GET", "/v1/clock")
        with _understood(self._url):
            return int(clock["monotonic_ns"])

    async def routing(self) -> Routing:
        """GatewayError `stale-fence` if another took the lease over since: whoever looks must not act on it."""
        state = await self._call("GET", "/v1/state")
        with _understood(self._url):
            if 0 < self.fence < state["fence"]:
                raise GatewayError(
                    id="stale-fence",
                    what="another command has taken this lab over",
                    where=f"fence {self.fence}, the proxy has given out {state['fence']}",
                    fix="lab status shows who is at work",
                )
            return _routing(state)

    async def wait_for_change(self, since: int, seconds: float) -> None:
        """Return when the proxy's `seq` is above `since`, or after that many seconds."""
        path = f"/v1/state?since={since}&wait_ms={int(seconds * 1000)}"
        await self._call("GET", path, seconds=seconds + CALL_SECONDS)

    async def join(self, seen: Seen, readiness: Readiness) -> int:
        body = {
            "slot": seen.slot,
            "generation": seen.generation,
            "version": seen.version,
            "address": f"{seen.address}:{readiness.port}",
            "readiness": {
                "path": readiness.path,
                "passes": readiness.passes,
                "min_ready_ms": round(readiness.min_ready * 1000),
                "interval_ms": round(readiness.interval * 1000),
                "fast_interval_ms": round(readiness.fast_interval * 1000),
                "timeout_ms": round(readiness.timeout * 1000),
                "fails": readiness.fails,
                "identity": readiness.identity,
            },
        }
        return await self._change("PUT", f"/v1/replicas/{seen.name}", body)

    async def admit(self, name: str) -> int:
        return await self._change("POST", f"/v1/replicas/{name}/admit", {})

    async def retire(self, name: str, *, drain_timeout: float) -> int:
        return await self._change("POST", f"/v1/replicas/{name}/retire", {"deadline_ms": round(drain_timeout * 1000)})

    async def restore(self, name: str) -> int:
        return await self._change("POST", f"/v1/replicas/{name}/restore", {})

    async def remove(self, name: str, *, lost: bool) -> int:
        return await self._change("DELETE", f"/v1/replicas/{name}", {"lost": lost})

    async def open_run(self, run: str) -> None:
        await self._call("PUT", "/v1/run", {"fence": self.fence, "run": run})

    async def close_run(self) -> None:
        await self._call("DELETE", "/v1/run", {"fence": self.fence})

    async def turn_cut_switch(self, every: int) -> None:
        """Let the proxy cut every so manieth answer, for a test of the verdict; 0: none."""
        await self._call("PUT", "/v1/test/cut-switch", {"fence": self.fence, "every": every})

    async def cut_on_purpose(self) -> frozenset[str]:
        """The requests whose answers the switch cut since it was turned."""
        told = await self._call("GET", "/v1/test/cut-switch")
        with _understood(self._url):
            return frozenset(str(request) for request in told["cut"])

    async def take_lease(self, owner: Owner, ttl: float, *, replace_fence: int | None = None) -> int:
        """Take the lease and return its fence; GatewayError `lease-held` if another has it."""
        body: dict[str, Any] = {"owner": _owner_json(owner), "ttl_ms": round(ttl * 1000)}
        if replace_fence is not None:
            body["replace_fence"] = replace_fence
        lease = await self._call("POST", "/v1/lease", body)
        with _understood(self._url):
            self.fence = int(lease["fence"])
        return self.fence

    async def renew_lease(self, owner: Owner, ttl: float) -> None:
        body = {"owner": _owner_json(owner), "ttl_ms": round(ttl * 1000), "fence": self.fence}
        await self._call("POST", "/v1/lease", body)

    async def give_back_lease(self) -> None:
        fence, self.fence = self.fence, 0
        await self._call("DELETE", "/v1/lease", {"fence": fence})

    async def _change(self, method: str, path: str, body: dict[str, Any]) -> int:
        acknowledged = await self._call(method, path, {"fence": self.fence, **body})
        with _understood(self._url):
            return int(acknowledged["epoch"])

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = CALL_SECONDS
    ) -> dict[str, Any]:
        if self._http is None:
            raise RuntimeError("the gateway is used inside `async with`")
        limit = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._http.request(method, self._url + path, json=body, timeout=limit) as answer:
                data: dict[str, Any] = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise GatewayError(
                id="proxy-gone",
                what=f"the proxy does not answer {method} {path}: {error!r}",
                where=self._url,
                fix="lab up, which starts it again",
            ) from error
        if not answer.ok:
            with _understood(self._url):
                refusal, message = str(data["error"]["id"]), data["error"]["message"]
            fix = "lab down, then lab up: its secrets are not those in .lab" if refusal == "unauthorized" else ""
            raise GatewayError(id=refusal, what=f"the proxy: {message}", where=f"{method} {path}", fix=fix)
        return data


@contextmanager
def _understood(where: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise GatewayError(
            id="proxy-strange",
            what=f"the proxy answers in a form that this lab does not know: {error!r}",
            where=where,
            fix="lab down, then lab up, which builds the proxy from this checkout",
        ) from error


def _routing(state: dict[str, Any]) -> Routing:
    lease = state["lease"]
    return Routing(
        seq=state["seq"],
        epoch=state["epoch"],
        now_ns=state["now_ns"],
        routes=tuple(_route(replica) for replica in state["replicas"]),
        lease=lease and Lease(owner=_owner(lease["owner"]), fence=lease["fence"], expires_in_ms=lease["expires_in_ms"]),
        run=state["run"],
        hold=_hold(state.get("hold")),
    )


def _hold(hold: dict[str, Any] | None) -> Hold:
    return Hold(**{key: hold[key] for key in ("on", "held", "bytes", "oldest_ms")}) if hold else Hold()


def _route(replica: dict[str, Any]) -> Route:
    probe, ejected_by = replica["last_probe"], replica.get("ejected_by")
    return Route(
        name=replica["replica"],
        slot=replica["slot"],
        generation=replica["generation"],
        version=replica["version"],
        address=replica["address"],
        place=Place(replica["place"]),
        health=Health(replica["health"]),
        proven=replica["proven"],
        in_flight=replica["in_flight"],
        claimed=replica["claimed"],
        aborted=replica["aborted"],
        joined_ns=replica["joined_ns"],
        retired_ns=replica["retired_ns"],
        deadline_ns=replica["deadline_ns"],
        probe=probe and _probe(probe),
        streams=replica.get("streams", 0),
        websockets=replica.get("websockets", 0),
        cut=replica.get("cut", 0),
        requests=replica.get("requests", 0),
        errors=replica.get("errors", 0),
        ejected_by=ejected_by and EjectedBy(ejected_by),
        ejected_ns=replica.get("ejected_ns"),
        falls=replica.get("falls", 0),
        relapses=replica.get("relapses", 0),
    )


def _probe(probe: dict[str, Any]) -> Probe:
    return Probe(ok=probe["ok"], status=probe["status"], body=probe["body"], error=probe.get("error", ""))


def _owner(data: dict[str, Any]) -> Owner:
    return Owner(**{key: data[key] for key in ("host", "boot", "pid", "start", "command", "home")})


def _owner_json(owner: Owner) -> dict[str, Any]:
    return {
        "host": owner.host,
        "boot": owner.boot,
        "pid": owner.pid,
        "start": owner.start,
        "command": owner.command,
        "home": owner.home,
    }
