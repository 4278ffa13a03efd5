"""Under 300 requests a second of every kind replicas come and go a hundred times, and nothing is lost or doubled."""

from pathlib import Path

from tests.churn_evidence import breaches
from tests.proxy_churn import HABITS, Churn
from tests.proxy_process import process_world

CYCLES, SECONDS = 100, 25.0
# on a machine that does other things besides; `make soak-churn` wants all of both
AT_LEAST, AT_LEAST_A_SECOND = 15, 100


async def test_a_hundred_replacements_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    async with process_world(tmp_path) as lab:
        found = await Churn(lab).run(cycles=CYCLES, seconds=SECONDS)
    assert breaches(found) == [], found.summary()
    assert found.cycles >= AT_LEAST, found.summary()
    assert found.rate >= AT_LEAST_A_SECOND, found.summary()
    assert found.count("cut") > len(HABITS), "hardly a stream or WebSocket met its deadline: this shows little"
