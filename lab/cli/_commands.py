"""Importing a command file registers its command."""

from lab.cli import (
    abort,
    doctor,
    down,
    events,
    history,
    images,
    logs,
    migrate,
    pause,
    plan,
    report,
    resume,
    roll,
    scale,
    simulate,
    status,
    up,
)
from lab.cli._app import app

__all__ = [
    "abort",
    "app",
    "doctor",
    "down",
    "events",
    "history",
    "images",
    "logs",
    "migrate",
    "pause",
    "plan",
    "report",
    "resume",
    "roll",
    "scale",
    "simulate",
    "status",
    "up",
]
