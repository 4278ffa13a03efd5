"""docs/reference/proxy.md names every setting with its default, and every metric."""

import re
from dataclasses import fields
from pathlib import Path

from proxy import metrics
from proxy.settings import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "proxy.md").read_text()


def test_every_setting_stands_there_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(LAB_[A-Z_]+)` \| ([^|]+?) \|", PAGE, re.MULTILINE))
    assert rows.pop("LAB_SEED") == "none"
    usual = {f"LAB_{each.name.upper()}": getattr(Limits(), each.name) for each in fields(Limits)}
    said = {
        name: "none" if value == () else f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in usual.items()
    }
    assert rows == said


def test_every_metric_stands_there() -> None:
    source = Path(metrics.__file__).read_text()
    kinds = {
        "_count": "_total",
        "_labelled": "_total",
        "_histogram": "",
        "GaugeMetricFamily": "",
        "CounterMetricFamily": "_total",
    }
    made = re.findall(
        r'(_count|_labelled|_histogram|GaugeMetricFamily|CounterMetricFamily)\(\s*"(?:lab_proxy_)?(\w+)"', source
    )
    names = {name + kinds[kind] for kind, name in made}
    said = set(re.findall(r"`([a-z_]+)(?:\{[a-z,]+\})?`", PAGE[PAGE.index("| name (`lab_proxy_..`)") :]))
    assert len(names) > 10
    assert names <= said
    assert said - names <= {"lab_proxy_"}
