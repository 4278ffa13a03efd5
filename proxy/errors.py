"""Why the proxy refuses something; each error knows its word in the admin API and its HTTP status."""

from typing import Any


class ProxyError(Exception):
    id = "bad-request"
    status = 400

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class BadRequestError(ProxyError):
    pass


class UnauthorizedError(ProxyError):
    id = "unauthorized"
    status = 401


class NotFoundError(ProxyError):
    id = "not-found"
    status = 404


class LeaseHeldError(ProxyError):
    id = "lease-held"
    status = 409


class NoLeaseError(ProxyError):
    id = "no-lease"
    status = 409


class StaleFenceError(ProxyError):
    id = "stale-fence"
    status = 409


class IllegalPlaceError(ProxyError):
    id = "illegal-place"
    status = 409


class NotProvenError(ProxyError):
    id = "not-proven"
    status = 409


class NotSavedError(ProxyError):
    id = "not-saved"
    status = 500


class RefusedStartError(Exception):
    """The proxy cannot start as it was told to; the message names what, where and the fix."""
