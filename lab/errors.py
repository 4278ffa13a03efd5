"""One tree of errors. Each says what happened, where, and how to mend it; the command line adds nothing."""

from enum import IntEnum


class Exit(IntEnum):
    """The command's exit codes (docs/reference/exit-codes.md)."""

    OK = 0
    NO = 1
    USAGE = 2
    ENVIRONMENT = 3
    NO_VERDICT = 4
    BUG = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


class LabError(Exception):
    """A failure that a person can act on. `id` is stable: docs and scripts refer to it."""

    def __init__(
        self,
        *,
        id: str,
        what: str,
        where: str = "",
        fix: str = "",
        exit_code: int = Exit.ENVIRONMENT,
    ) -> None:
        super().__init__(what)
        self.id = id
        self.what = what
        self.where = where
        self.fix = fix
        self.exit_code = int(exit_code)


class UsageError(LabError):
    """The command line asks for something that cannot be meant."""

    def __init__(self, *, id: str, what: str, fix: str = "") -> None:
        super().__init__(id=id, what=what, fix=fix, exit_code=Exit.USAGE)


class EngineError(LabError):
    """The container engine could not do what was asked: the environment's fault, never the version's."""


class JournalError(LabError):
    """The journal cannot be written: whoever works by it does nothing more."""


class GatewayError(LabError):
    """The proxy refused or could not be reached."""
