"""People in the shop: what the lab offers with `lab roll --image shop:2.0 --locustfile shopper.py`."""

import json

from locust import HttpUser, task

from loadtest.own import LedgerMixin


class Shopper(LedgerMixin, HttpUser):
    """Looks around, asks what is in stock, and now and then waits for a report."""

    @task(2)
    def look(self):
        if self.client.get("/items", check=has_tea).ok:
            self.client.get("/stock")

    @task
    def report(self):
        self.client.get("/report", fresh=True)


def has_tea(answer, _version):
    """What is wrong with an answer of /items, or None."""
    return None if "tea" in json.loads(answer.body) else "there is no tea"
