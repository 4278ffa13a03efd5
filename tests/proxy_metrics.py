"""What the proxy's /metrics say, as numbers, and whether they add up."""

from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.proxy_drains import comes_to
from tests.proxy_world import TOKEN, World


@dataclass(frozen=True, slots=True)
class Scrape:
    values: dict[tuple[str, ...], float]

    def one(self, name: str, *labels: str) -> float:
        return self.values[f"lab_proxy_{name}", *labels]

    def total(self, name: str) -> float:
        return sum(value for (found, *_), value in self.values.items() if found == f"lab_proxy_{name}")

    @property
    def adds_up(self) -> bool:
        return self.one("requests_accepted_total") == self.total("requests_total") + self.one("requests_in_flight")


async def scrape(lab: World) -> Scrape:
    url = f"http://127.0.0.1:{lab.server.admin_port}/metrics"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        text = await response.text()
    return Scrape(
        {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    )


async def settled(lab: World) -> Scrape:
    return await comes_to(lambda: scrape(lab), lambda found: found.one("requests_in_flight") == 0)
