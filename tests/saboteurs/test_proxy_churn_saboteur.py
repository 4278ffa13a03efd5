"""The churn's checks must fail when there is something to find: replicas told to end too early, a POST taken twice."""

from pathlib import Path

from tests.churn_evidence import breaches
from tests.proxy_churn import Churn
from tests.proxy_process import process_world


async def test_replicas_that_end_before_they_are_removable_are_seen_to_lose_requests(tmp_path: Path) -> None:
    async with process_world(tmp_path) as lab:
        found = await Churn(lab, habits=("exits",), waits=False).run(cycles=6, seconds=10)
    assert found.count("lost"), "the clients saw nothing although every drain was skipped: the churn measures nothing"
    assert any("was lost" in each for each in breaches(found))


async def test_a_replica_that_takes_a_post_twice_is_seen(tmp_path: Path) -> None:
    async with process_world(tmp_path) as lab:
        found = await Churn(lab, habits=("doubles",)).run(cycles=2, seconds=10)
    assert any("POST) took effect twice" in each for each in breaches(found))
