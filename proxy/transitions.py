"""The two lifecycles of a replica as the proxy keeps them, as literal tables.

The place is the controller's to decide, the health is the probes': no finding appears in the first table.
"""

from enum import StrEnum


class Place(StrEnum):
    JOINING = "joining"
    READY = "ready"
    DRAINING = "draining"
    REMOVABLE = "removable"
    GONE = "gone"


class Change(StrEnum):
    JOIN = "join"
    ADMIT = "admit"
    RETIRE = "retire"
    RESTORE = "restore"
    EMPTY = "empty"
    REMOVE = "remove"
    LOSE = "lose"


class Health(StrEnum):
    UNPROVEN = "unproven"
    UP = "up"
    EJECTED = "ejected"


class Finding(StrEnum):
    PASS = "pass"  # noqa: S105  a probe's result, no password
    FAILURES = "failures"  # of probes, in a row
    ERRORS = "errors"  # of connections, in a row


PLACES: dict[tuple[Change, Place], Place] = {
    (Change.JOIN, Place.GONE): Place.JOINING,
    (Change.ADMIT, Place.JOINING): Place.READY,
    (Change.RETIRE, Place.JOINING): Place.DRAINING,
    (Change.RETIRE, Place.READY): Place.DRAINING,
    (Change.RETIRE, Place.DRAINING): Place.DRAINING,
    (Change.RETIRE, Place.REMOVABLE): Place.REMOVABLE,
    (Change.RESTORE, Place.DRAINING): Place.READY,
    (Change.EMPTY, Place.DRAINING): Place.REMOVABLE,
    (Change.REMOVE, Place.JOINING): Place.GONE,
    (Change.REMOVE, Place.REMOVABLE): Place.GONE,
    (Change.REMOVE, Place.GONE): Place.GONE,
    (Change.LOSE, Place.JOINING): Place.GONE,
    (Change.LOSE, Place.READY): Place.GONE,
    (Change.LOSE, Place.DRAINING): Place.GONE,
    (Change.LOSE, Place.REMOVABLE): Place.GONE,
    (Change.LOSE, Place.GONE): Place.GONE,
}

HEALTH: dict[tuple[Finding, Health], Health] = {
    (Finding.PASS, Health.UNPROVEN): Health.UP,
    (Finding.PASS, Health.UP): Health.UP,
    (Finding.PASS, Health.EJECTED): Health.UP,
    (Finding.FAILURES, Health.UNPROVEN): Health.UNPROVEN,
    (Finding.FAILURES, Health.UP): Health.EJECTED,
    (Finding.FAILURES, Health.EJECTED): Health.EJECTED,
    (Finding.ERRORS, Health.UNPROVEN): Health.EJECTED,
    (Finding.ERRORS, Health.UP): Health.EJECTED,
    (Finding.ERRORS, Health.EJECTED): Health.EJECTED,
}
