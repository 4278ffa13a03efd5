"""Importing a command file registers its command."""

from lab.cli import doctor, down, images, logs, migrate, plan, report, roll, simulate, status, up
from lab.cli._app import app

__all__ = ["app", "doctor", "down", "images", "logs", "migrate", "plan", "report", "roll", "simulate", "status", "up"]
