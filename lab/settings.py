"""PURE: what counts, and who said it: a flag, the environment, the journal of the lab, the manifest, or nobody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

from lab.load_choice import LoadChoice, LoadSpec
from lab.manifest import LoadDefaults, Manifest
from lab.manifest_lines import line_of
from lab.shape import Shape


class Origin(StrEnum):
    FLAG = "flag"
    ENVIRONMENT = "environment"
    JOURNAL = "journal"
    MANIFEST = "manifest"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`where`: the flag, the variable, or the manifest's line."""

    name: str
    value: str
    origin: Origin
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the manifest says, by dotted path below the rolled service, with its line."""

    service: str
    file: str
    lines: Mapping[str, int]

    def setting(self, name: str, value: object, key: str) -> Setting:
        path = f"services.{self.service}.{key}"
        if path not in self.lines:
            return Setting(name=name, value=_said(value), origin=Origin.DEFAULT)
        where = f"{self.file}:{line_of(self.lines, path)}"
        return Setting(name=name, value=_said(value), origin=Origin.MANIFEST, where=where)


_DEFAULTS = Shape(bake=0.0, wave_bake=0.0, retries=0, progress_timeout=600.0, hold_timeout=0.0, gate_samples=50)
_KEYS = {
    "order": "deploy.update_config.order",
    "batch": "deploy.update_config.parallelism",
    "on_fail": "deploy.update_config.failure_action",
    "wave_bake": "deploy.update_config.delay",
    "bake": "deploy.update_config.monitor",
    "max_failure_ratio": "deploy.update_config.max_failure_ratio",
}
_USUAL = {"order": "start-first", "batch": "1", "on_fail": "rollback", "max_failure_ratio": "0", "gates": "none"}
_USUAL_LOAD = {"slow": "2.5s and more, by the rate", "cohorts": "the load's own mix", "locustfile": "the lab's own"}
_NEVER_WRITTEN = {"max_surge", "max_unavailable", "like"}
_OPTION = {"gates": "gate"}


def shape_settings(asked: Shape, origins: Mapping[str, Origin], manifest: Manifest, written: Written) -> list[Setting]:
    """How a roll would go: what is asked for over what the manifest says. A way that gives way is left out."""
    said = Shape(ready_timeout=manifest.ready_timeout, drain_timeout=manifest.drain_timeout).over(_DEFAULTS)
    counts = asked.over(manifest.update).over(said)
    budgeted = any(getattr(counts, name) is not None for name in _NEVER_WRITTEN)
    rows = []
    for name in (field.name for field in fields(Shape)):
        value, called = getattr(counts, name), name.replace("_", "-")
        if getattr(asked, name) is not None:
            rows.append(_asked(called, value, origins[name], _OPTION.get(name, name)))
        elif name not in _NEVER_WRITTEN and not (budgeted and name in {"order", "batch"}):
            usual = _USUAL.get(name) if value is None else value
            rows.append(written.setting(called, usual, _KEYS.get(name, f"x-lab.{name}")))
    return rows


def _asked(called: str, value: object, origin: Origin, option: str) -> Setting:
    flag = "--" + option.replace("_", "-")
    variable = f"LAB_{option.upper()}"
    return Setting(name=called, value=_said(value), origin=origin, where=flag if origin is Origin.FLAG else variable)


def load_settings(
    asked: LoadChoice, origins: Mapping[str, Origin], load: LoadDefaults, written: Written
) -> list[Setting]:
    counts = asked.over(load.choice).settled()
    rows = []
    for name in (field.name for field in fields(LoadSpec)):
        value, called = getattr(counts, name), f"load.{name.replace('_', '-')}"
        value = f"{value:g}" if name == "rate" else value
        if getattr(asked, name) is not None:
            rows.append(_asked(called, value, origins[name], name))
        else:
            usual = _USUAL_LOAD.get(name) if value in {None, ""} else value
            rows.append(written.setting(called, usual, f"x-lab.load.{name}"))
    return [*rows, written.setting("load.baseline", load.baseline, "x-lab.load.baseline")]


def service_settings(manifest: Manifest, written: Written) -> list[Setting]:
    ready = manifest.readiness
    rows = [
        ("readiness.path", ready.path),
        ("readiness.port", ready.port),
        ("readiness.passes", ready.passes),
        ("readiness.min-ready", ready.min_ready),
        ("readiness.identity", ready.identity),
    ]
    settings = [written.setting(name, value, f"x-lab.{name.replace('-', '_')}") for name, value in rows]
    settings.append(written.setting("stop-grace-period", manifest.stop_grace, "stop_grace_period"))
    plan = str(manifest.schema_plan) if manifest.schema_plan else "none"
    return [*settings, written.setting("schema.plan", plan, "x-lab.schema.plan")]


def settings_table(settings: Sequence[Setting]) -> list[str]:
    rows = [("SETTING", "VALUE", "ORIGIN", ""), *((s.name, s.value, str(s.origin), s.where) for s in settings)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}s"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value)
