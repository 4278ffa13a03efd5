"""The `lab` command: one file per command. Results on stdout, progress on stderr, the exit code says how it went."""

from lab.cli._main import main

__all__ = ["main"]
