"""A lease in storage that keeps two runs from working on the same nights.

The holder renews it by conditional writes. It ends by release, by expiry, or at once when a process
of the same host sees that the holder is dead. It saves work and never guards correctness: what a
night leaves counts by a conditional commit, so a holder that was stopped too long does no harm.
"""

import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from catalogtool import storage
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.errors import ConfigError, LockedError, StorageError
from catalogtool.production._process import ProcessIdentity

__all__ = ["Lease", "LeaseRecord", "lease"]

TTL_S = 120.0
_RENEWALS_PER_TTL = 4
_ATTEMPTS = 8
_log = logging.getLogger(__name__)


class LeaseRecord(Settings):
    """What a lease says; times are seconds since 1970, by the clock of the holder."""

    owner: str
    """Random, one per acquisition."""
    host: str
    process: ProcessIdentity
    since_s: float
    expires_s: float
    """0 once the lease is released."""

    def is_free(self) -> bool:
        """Whether another owner may take the lease."""
        return self.expires_s <= time.time() or self.process.is_known_dead()

    def describe(self) -> str:
        """Holder, start and expiry as text."""
        if self.expires_s == 0:
            return f"released by process {self.process.pid} on {self.host}"
        since, expires = (
            datetime.fromtimestamp(moment, UTC).isoformat(sep=" ", timespec="seconds")
            for moment in (self.since_s, self.expires_s)
        )
        return f"process {self.process.pid} on {self.host} since {since} (expires {expires})"


@contextmanager
def lease(uri: str, *, ttl_s: float = TTL_S) -> Iterator["Lease"]:
    """Hold the lease of an address while the block runs; a thread renews it.

    Parameters
    ----------
    uri : str
        Address of the lease, for example `OutputLayout.lock`.
    ttl_s : float
        Seconds after the last renewal when others may take it over. The clocks of the hosts that
        share a lease must agree to a small part of it.

    Raises
    ------
    LockedError
        If another run holds it, saying who and since when; or at the end of the block, if another
        took it over in between.
    StorageError
        If the lease cannot be read or written.
    """
    held = Lease(uri, ttl_s)
    try:
        yield held
    except BaseException:
        # What went wrong in the block matters more than a lost lease.
        held.release()
        raise
    if not held.release():
        held.raise_lost()


class Lease:
    """A lease that this process holds from construction until `release`.

    Raises
    ------
    LockedError
        If another run holds it.
    """

    def __init__(self, uri: str, ttl_s: float) -> None:
        self.uri = uri
        self._ttl_s = ttl_s
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._lost = False
        now = time.time()
        self._record = LeaseRecord(
            owner=secrets.token_hex(16),
            host=socket.gethostname(),
            process=ProcessIdentity.own(),
            since_s=now,
            expires_s=now + ttl_s,
        )
        self._version = self._acquire()
        self._renewer = threading.Thread(target=self._keep_renewing, name="lease", daemon=True)
        self._renewer.start()

    def check(self) -> None:
        """Make sure that the lease is still held, before something that only its holder may do.

        Raises
        ------
        LockedError
            If another run took it over.
        StorageError
            If it has expired and cannot be renewed now.
        """
        with self._guard:
            if not self._lost and time.time() >= self._record.expires_s:
                self._renew()
        if self._lost:
            self.raise_lost()

    def raise_lost(self) -> None:
        """Raise the error of a holder that lost its lease."""
        found = _read(self.uri)
        now_held = found[0].describe() if found else "nobody: the lease was deleted"
        raise LockedError(
            f"{self.uri}: this run stood still for longer than {self._ttl_s:g} s and lost the "
            f"lease to another; it is now {now_held}. What is committed is safe; run again",
            uri=self.uri,
        )

    def release(self) -> bool:
        """Let others have the lease at once.

        Returns
        -------
        bool
            False if another had taken it over; it is then left alone.
        """
        self._stop.set()
        self._renewer.join()
        try:
            return not self._lost and self._free()
        except StorageError as error:
            _log.warning("%s: not released, it will expire: %s", self.uri, error)
            return True

    def _acquire(self) -> str:
        """Write the record where no other holds the lease; returns its version."""
        data = _encode(self._record)
        for _ in range(_ATTEMPTS):
            storage.create_bytes(self.uri, data)
            found = _read(self.uri)
            if found is None:
                continue
            record, version = found
            if record.owner == self._record.owner:
                return version
            if not record.is_free():
                raise LockedError(
                    f"{self.uri}: another run is working: {record.describe()}; wait for it",
                    uri=self.uri,
                    holder=record.to_json(),
                )
            storage.replace_bytes(self.uri, data, version)
        raise LockedError(f"{self.uri}: many runs ask for the lease at once; try again later")

    def _keep_renewing(self) -> None:
        while not self._stop.wait(self._ttl_s / _RENEWALS_PER_TTL):
            with self._guard:
                try:
                    self._renew()
                except StorageError as error:
                    _log.warning("%s: not renewed, trying again: %s", self.uri, error)
            if self._lost:
                return

    def _renew(self) -> None:
        """Move the expiry, or note that the lease is no longer ours."""
        renewed = self._record.model_copy(update={"expires_s": time.time() + self._ttl_s})
        storage.replace_bytes(self.uri, _encode(renewed), self._version)
        found = self._own()
        if found is None:
            self._lost = True
        else:
            self._record, self._version = found

    def _free(self) -> bool:
        """Write that nobody holds the lease, for storage has no conditional delete."""
        freed = _encode(self._record.model_copy(update={"expires_s": 0.0}))
        while not storage.replace_bytes(self.uri, freed, self._version):
            # A renewal whose answer was lost may have arrived, and so may this.
            found = self._own()
            if found is None:
                return False
            if found[0].expires_s == 0:
                return True
            self._version = found[1]
        return True

    def _own(self) -> tuple[LeaseRecord, str] | None:
        """Record and version of the lease if it is ours."""
        found = _read(self.uri)
        return found if found and found[0].owner == self._record.owner else None


def _encode(record: LeaseRecord) -> bytes:
    return canonical_json(record.to_json()).encode()


def _read(uri: str) -> tuple[LeaseRecord, str] | None:
    """Record and version of a lease; None if there is none."""
    try:
        data, version = storage.read_versioned(uri)
    except StorageError as error:
        if error.context.get("missing"):
            return None
        raise
    try:
        return build_settings(LeaseRecord, json.loads(data), where=uri), version
    except (ValueError, ConfigError) as error:
        raise LockedError(
            f"{uri}: is not a lease of catalogtool; delete it if no run is working", uri=uri
        ) from error
