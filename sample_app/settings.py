"""What the environment says about this replica (docs/reference/wire.md)."""

from collections.abc import Mapping
from dataclasses import dataclass

from sample_app import faults
from sample_app.faults import Chosen
from sample_app.page import Form


class SettingsError(ValueError):
    """The environment cannot be served; the message says which variable and what it may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Who this replica is, which code it serves and how long it may take to stop."""

    version: str
    replica: str
    code: str
    code_text: str | None
    faults: Chosen
    fault_seed: str
    port: int
    grace_seconds: float
    page: Form


def read(environ: Mapping[str, str]) -> Settings:
    code = environ.get("APP_CODE", "v1")
    try:
        chosen = faults.read(environ.get("APP_FAULTS", ""))
    except faults.FaultError as error:
        raise SettingsError(str(error)) from error
    return Settings(
        version=environ.get("LAB_VERSION", code),
        replica=environ.get("LAB_REPLICA", "local"),
        code=code,
        code_text=environ.get("APP_CODE_TEXT"),
        faults=chosen,
        fault_seed=environ.get("APP_FAULT_SEED", "1"),
        port=int(_number("PORT", environ.get("PORT", "8080"), most=65535)),
        grace_seconds=_number("APP_GRACE_SECONDS", environ.get("APP_GRACE_SECONDS", "30"), most=3600),
        page=Form(_one_of("APP_PAGE", environ.get("APP_PAGE", Form.SAFE), tuple(Form))),
    )


def _one_of(variable: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(f"{variable} is {value!r}; it may be {', '.join(allowed)}")
    return value


def _number(variable: str, value: str, *, most: int) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise SettingsError(f"{variable} is {value!r}; it must be a number from 0 to {most}")
    return number
