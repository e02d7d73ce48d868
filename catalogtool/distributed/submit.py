"""Productions and comparisons as Ray jobs: submitted, watched, listed and stopped from outside."""

import asyncio
import logging
import os
import shlex
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import aiohttp
import requests
from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

import catalogtool
from catalogtool import storage
from catalogtool.distributed.failures import unwrap
from catalogtool.errors import ClusterError, ConfigError
from catalogtool.production.handover import (
    JOB_PREFIX,
    JobConfig,
    JobKind,
    job_kind,
    job_name,
    write_settings,
)

Runtime = Literal["upload", "installed"]

_PACKAGE = Path(catalogtool.__file__).parent
_SCRIPTS = _PACKAGE.parent / "jobs"
_SCRIPT_OF: dict[JobKind, str] = {
    "produce": "jobs/produce_catalog.py",
    "compare": "jobs/compare_methods.py",
    "compare-anomalies": "jobs/compare_anomalies.py",
}
_REQUEST_S = 10.0
_RECONNECT_S = 1.0
_SILENCE_S = 60.0  # after that the log is asked for again: the connection may be dead
_PATIENCE_S = 30.0
_EXIT_CODES = range(1, 128)  # beyond are signals


@dataclass(frozen=True)
class JobLine:
    """What the cluster knows of a job."""

    job: str
    status: str
    started: str
    ended: str
    exit_code: int | None
    message: str


class Jobs:
    """The jobs of one cluster.

    Parameters
    ----------
    address : str
        ``http(s)://host:8265``, the dashboard of the head node.
    insecure : bool
        Whether a cluster that asks for no token is accepted.

    Raises
    ------
    ConfigError
        If the address is none.
    ClusterError
        If the cluster does not answer, asks for no token, or for another one.
    """

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        for name in ("ray.dashboard", "ray._private"):  # Ray sets the level of "ray" itself
            logging.getLogger(name).setLevel(logging.WARNING)
        self.address = address.rstrip("/")
        os.environ["RAY_AUTH_MODE"] = "token" if _asks_for_token(self.address) else "disabled"
        if os.environ["RAY_AUTH_MODE"] == "token":
            _require_token(self.address)
        elif not insecure:
            raise ClusterError(
                f"{address}: the cluster asks for no token, so whoever reaches it can run programs "
                "on it. Start it with RAY_AUTH_MODE=token, or accept that with --insecure-cluster"
            )
        with self._asking():
            self._client = JobSubmissionClient(self.address)

    def submit(self, config: JobConfig, runtime: Runtime | None = None) -> tuple[str, bool]:
        """Start the work, or find it where it runs already.

        Parameters
        ----------
        config : RunConfig, CompareConfig or AnomalyCompareConfig
            Settings that every node understands, see `handover.make_portable`.
        runtime : {"upload", "installed"} or None
            Whether the nodes get this package, or use the one that they have; None: they get it
            if it runs from a working tree here.

        Returns
        -------
        job : str
            Its id.
        is_new : bool
            False if it ran already.
        """
        name = job_name(config)
        earlier = [job for job in self._productions() if _name(job) == name]
        for job in earlier:
            if not job.status.is_terminal():
                return str(job.submission_id), False
        job_id = f"{name}-{max(map(_attempt, earlier), default=0) + 1}"
        settings = write_settings(config, job_id)
        with self._asking(), _runtime_environment(runtime or default_runtime()) as env:
            program = _program(job_kind(config), uploaded="working_dir" in env)
            try:
                self._client.submit_job(
                    entrypoint=shlex.join(["python", *program, settings]),
                    submission_id=job_id,
                    runtime_env=env,
                )
            except RuntimeError as error:
                if "already exists" in str(error):  # somebody else was faster
                    return job_id, False
                raise
        return job_id, True

    def follow(self, job_id: str, write: Callable[[str], None]) -> None:
        """Pass on the log of a job until it ends; a lost connection is taken up again."""
        log = _Log(write)
        while True:
            # First the status, then the log, so that the last lines are not missed.
            has_ended = self._details(job_id, patience_s=_PATIENCE_S).status.is_terminal()
            try:
                asyncio.run(self._pass_on(job_id, log))
            except (RuntimeError, aiohttp.ClientError, OSError):
                time.sleep(_RECONNECT_S)
            if has_ended:
                return

    async def _pass_on(self, job_id: str, log: "_Log") -> None:
        log.begin()
        pieces = self._client.tail_job_logs(job_id).__aiter__()
        with suppress(StopAsyncIteration, TimeoutError):
            while True:
                log.add(await asyncio.wait_for(anext(pieces), _SILENCE_S))

    def exit_code(self, job_id: str) -> int:
        """Exit code of the driver of an ended job.

        Raises
        ------
        ClusterError
            If it did not end by itself.
        """
        job = self._details(job_id)
        if job.status == JobStatus.SUCCEEDED:
            return 0
        if job.status == JobStatus.FAILED and job.driver_exit_code in _EXIT_CODES:
            return int(job.driver_exit_code or 0)
        raise ClusterError(
            f"job {job_id} ended as {job.status.value}: {job.message or 'no message'}; finished "
            "units are kept, run the same command again to go on",
            job=job_id,
        )

    def lines(self) -> tuple[JobLine, ...]:
        """All productions that the cluster remembers, the newest first."""
        return tuple(map(_line, sorted(self._productions(), key=_start, reverse=True)))

    def status(self, job_id: str) -> JobLine:
        """What the cluster knows of one job."""
        return _line(self._details(job_id))

    def logs(self, job_id: str) -> str:
        """Log of a job up to now."""
        with self._asking():
            return str(self._client.get_job_logs(job_id))

    def stop(self, job_id: str) -> None:
        """End a job; its finished units are kept."""
        with self._asking():
            self._client.stop_job(job_id)

    def _productions(self) -> list[JobDetails]:
        with self._asking():
            jobs = self._client.list_jobs()
        return [job for job in jobs if (job.submission_id or "").startswith(JOB_PREFIX)]

    def _details(self, job_id: str, patience_s: float = 0) -> JobDetails:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                with self._asking():
                    return self._client.get_job_info(job_id)
            except ClusterError as error:
                if not error.context.get("unreachable") or time.monotonic() > deadline:
                    raise
            time.sleep(1)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Make failures of requests our own."""
        try:
            yield
        except (ConnectionError, requests.RequestException) as error:
            raise _unreachable(self.address) from error
        except (RuntimeError, RayError) as error:
            found = unwrap(error)
            if found is not error:
                raise found from error
            sentence = str(error).strip().split("\n", 1)[0]
            raise ClusterError(f"{self.address}: {sentence}") from error


class _Log:
    """A log that comes from its beginning with every connection, passed on once."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._written = 0
        self._seen = 0

    def begin(self) -> None:
        """A new connection is there."""
        self._seen = 0

    def add(self, text: str) -> None:
        """The next piece of this connection."""
        fresh = text[max(0, self._written - self._seen) :]
        self._seen += len(text)
        if fresh:
            self._write(fresh)
            self._written = self._seen


def default_runtime() -> Runtime:
    """How the nodes come by this package: from a working tree it is uploaded."""
    return "upload" if _SCRIPTS.is_dir() else "installed"


@contextmanager
def _runtime_environment(runtime: Runtime) -> Iterator[dict[str, Any]]:
    """The environment in which the driver runs."""
    env: dict[str, Any] = {"env_vars": _job_variables()}
    if runtime == "installed":
        yield env
        return
    if not _SCRIPTS.is_dir():
        raise ConfigError(
            "--runtime upload: catalogtool does not run from a working tree here; install the same "
            "version on the nodes and say --runtime installed"
        )
    with tempfile.TemporaryDirectory(prefix="catalogtool-upload-") as folder:
        for tree in (_PACKAGE, _SCRIPTS):
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(tree, Path(folder) / tree.name, ignore=ignored)
        yield env | {"working_dir": folder}


def _program(kind: JobKind, *, uploaded: bool) -> list[str]:
    """What the driver runs, before the address of its settings."""
    return [_SCRIPT_OF[kind]] if uploaded else ["-m", "catalogtool.distributed.job", kind]


def _job_variables() -> dict[str, str]:
    """Variables of the driver and its workers; no secrets, which every node has of its own.

    Whoever may ask the cluster about a job can read its variables.
    """
    variables = storage.worker_environment()
    if "SOURCE_DATE_EPOCH" in os.environ:
        variables["SOURCE_DATE_EPOCH"] = os.environ["SOURCE_DATE_EPOCH"]
    return variables


def _asks_for_token(address: str) -> bool:
    """Whether a request without a token is refused."""
    if not address.startswith(("http://", "https://")):
        raise ConfigError(f"--cluster: expected http://HOST:8265 or https://…, not {address!r}")
    try:
        urllib.request.urlopen(f"{address}/api/jobs/", timeout=_REQUEST_S).close()  # noqa: S310 - http(s), as checked above
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return True
        raise ClusterError(
            f"{address}: does not answer as a Ray cluster (HTTP {error.code}); the address is that "
            "of the dashboard, usually port 8265"
        ) from None
    except (OSError, ValueError) as error:
        raise _unreachable(address) from error
    return False


def _require_token(address: str) -> None:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    files = [Path(path)] if path else [Path.home() / ".ray/auth_token"]
    if not os.environ.get("RAY_AUTH_TOKEN") and not any(file.is_file() for file in files):
        raise ClusterError(
            f"{address}: the cluster asks for a token, and none is set here; put it into "
            "RAY_AUTH_TOKEN, or the path of its file into RAY_AUTH_TOKEN_PATH"
        )


def _unreachable(address: str) -> ClusterError:
    return ClusterError(
        f"{address}: the cluster cannot be reached; check that it runs, and that a tunnel to its "
        "dashboard is open (ssh -L 8265:127.0.0.1:8265 HEAD)",
        unreachable=True,
    )


def _name(job: JobDetails) -> str:
    return str(job.submission_id).rpartition("-")[0]


def _attempt(job: JobDetails) -> int:
    return int(str(job.submission_id).rpartition("-")[2])


def _start(job: JobDetails) -> int:
    return job.start_time or 0


def _line(job: JobDetails) -> JobLine:
    return JobLine(
        job=str(job.submission_id),
        status=job.status.value,
        started=_moment(job.start_time),
        ended=_moment(job.end_time),
        exit_code=job.driver_exit_code,
        message=job.message or "",
    )


def _moment(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
