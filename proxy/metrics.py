"""The counts as Prometheus reads them, made when it asks."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from proxy.counts import Histogram
from proxy.gateway import Gateway

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics(Collector):
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing beforehand: it would collect once to know."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._connections()
        yield from self._replicas()

    def _requests(self) -> Iterator[Metric]:
        counts, hold = self._gateway.counts, self._gateway.hold
        yield _count("requests_accepted", "Requests begun.", counts.accepted)
        yield _labelled("requests", "Requests ended, by how.", "outcome", counts.outcomes)
        yield GaugeMetricFamily("lab_proxy_requests_in_flight", "Requests not ended, held ones too.", counts.in_flight)
        yield GaugeMetricFamily("lab_proxy_requests_held", "Requests that wait for a replica.", hold.held)
        yield GaugeMetricFamily("lab_proxy_holding", "1 while requests are held on request.", int(hold.on))
        yield _labelled("retries", "Attempts after the first, by why.", "reason", counts.retries)
        yield _histogram("request_seconds", "From the head of a request to the end of its answer.", counts.seconds)
        yield _histogram("held_seconds", "How long requests waited for a replica.", counts.held_seconds)

    def _connections(self) -> Iterator[Metric]:
        counts = self._gateway.counts
        yield _count("upstream_reused", "Attempts on a kept connection.", counts.reused)
        yield _count("upstream_connected", "Attempts on a new connection.", counts.connected)
        yield _count("client_connections_refused", "Client connections over the limit.", counts.refused_connections)
        yield _count("bytes_up", "Bytes of bodies sent to replicas.", counts.bytes_up)
        yield _count("bytes_down", "Bytes of bodies sent to clients.", counts.bytes_down)
        yield _count("ledger_lost_lines", "Ledger lines the disk was too slow for.", self._gateway.ledger.lost_lines)

    def _replicas(self) -> Iterator[Metric]:
        entries = self._gateway.table.entries
        in_flight = GaugeMetricFamily("lab_proxy_replica_in_flight", "Requests at a replica.", labels=["replica"])
        up = GaugeMetricFamily("lab_proxy_replica_up", "1 if its probes pass.", labels=["replica", "place"])
        claimed = CounterMetricFamily("lab_proxy_replica_claimed", "Requests given to a replica.", labels=["replica"])
        for name, entry in entries.items():
            in_flight.add_metric([name], entry.in_flight)
            up.add_metric([name, entry.route.place.value], int(entry.standing.health.value == "up"))
            claimed.add_metric([name], entry.claimed)
        yield from (in_flight, up, claimed)
        yield _histogram("drain_seconds", "From a retirement to removable.", self._gateway.counts.drain_seconds)


def _count(name: str, what: str, value: float) -> Metric:
    return CounterMetricFamily(f"lab_proxy_{name}", what, value)


def _labelled(name: str, what: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"lab_proxy_{name}", what, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _histogram(name: str, what: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(f"lab_proxy_{name}", what, buckets=histogram.cumulative(), sum_value=histogram.total)
