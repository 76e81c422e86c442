"""The error family: each error names its culprit, the way out, and the registry status it means."""

from __future__ import annotations


class EagleError(Exception):
    """Root of every error that eagle-node raises on purpose; its text is fit to show a user."""


class UsageError(EagleError):
    """Flags, environment or configuration are wrong; the program exits with status 2."""


class StartError(EagleError):
    """The node cannot start (port in use, data directory locked or newer); exit status 1."""


class BadDigest(EagleError):
    """A string that should be a digest is none."""


class Denied(EagleError):
    """The origin (or its token service) refuses or does not know what was asked for.

    ``status`` is the HTTP status to give to the client (401, 403, 404, 416, 429 ...), ``code`` the
    OCI error code, ``challenge`` the ``WWW-Authenticate`` value of a 401, ``retry_after`` the
    ``Retry-After`` value of a 429 or 503.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        challenge: str | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.challenge = challenge
        self.retry_after = retry_after

    def copy(self) -> Denied:
        """An equal error without traceback, fit to be kept or to be raised once more."""
        return Denied(
            str(self),
            status=self.status,
            code=self.code,
            challenge=self.challenge,
            retry_after=self.retry_after,
        )


class Unavailable(EagleError):
    """A source cannot deliver now (down, stalled, broken answer, disk full); another one may."""


class Silent(Unavailable):
    """A source has not answered at all in the time that it was given: asking again may cost as
    much."""


class Unreachable(Unavailable):
    """Nobody answers at another node's address, or does any longer: its work falls to others."""


class NoAnswer(Unavailable):
    """No node answers where a command or the dashboard asked one."""


class WrongContent(EagleError):
    """Bytes that arrived do not have the digest that was asked for; they were discarded."""


class NoSpace(Unavailable):
    """The cache limit or the disk reserve leaves no room for a blob."""
