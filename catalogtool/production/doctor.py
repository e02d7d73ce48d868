"""What a machine needs for a production, looked at one by one."""

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_PACKAGES = ("ray", "torch", "pyarrow", "astropy", "hats", "galsim", "obstore", "boto3")
_DISK_NEEDED_BYTES = 5 << 30
_SHM_NEEDED_BYTES = 1 << 30

Verdict = Literal["ok", "remark", "problem"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    found: str


def examine(output: str) -> list[Finding]:
    """Examine this machine.

    Parameters
    ----------
    output : str
        Folder in which runs would be written; it need not exist.

    Returns
    -------
    list of Finding
        ``problem`` stops a production, ``remark`` makes it slower or limits it.
    """
    return [
        _python(),
        *(_package(name) for name in _PACKAGES),
        _s3fs(),
        _cores(),
        _free_space("disk", _existing(Path(output)), _DISK_NEEDED_BYTES),
        _free_space("/dev/shm", Path("/dev/shm"), _SHM_NEEDED_BYTES),  # noqa: S108 - Ray's store
        _compiler(),
        _gpus(),
        _credentials(),
    ]


def _python() -> Finding:
    return Finding("python", "ok", platform.python_version())


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "problem", "not installed; reinstall catalogtool")


def _s3fs() -> Finding:
    try:
        version = importlib.metadata.version("s3fs")
    except importlib.metadata.PackageNotFoundError:
        return Finding("s3fs", "ok", "not installed, as it should be")
    return Finding("s3fs", "remark", f"{version} pins botocore; boto3 may break, uninstall it")


def _cores() -> Finding:
    return Finding("cores", "ok", str(len(os.sched_getaffinity(0))))


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _free_space(subject: str, path: Path, needed: int) -> Finding:
    if not path.exists():
        return Finding(subject, "remark", f"{path} does not exist; Ray will use the disk")
    free = shutil.disk_usage(path).free
    text = f"{free / 2**30:.1f} GiB free on {path}"
    if free < needed:
        return Finding(subject, "remark", f"{text}; {needed >> 30} GiB are advised")
    return Finding(subject, "ok", text)


def _compiler() -> Finding:
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler:
        return Finding("C++ compiler", "ok", compiler)
    return Finding("C++ compiler", "remark", "none; inference runs without compiled networks")


def _gpus() -> Finding:
    import torch

    count = torch.cuda.device_count()
    if not count:
        return Finding("GPUs", "remark", "none; networks run on the processor")
    names = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
    return Finding("GPUs", "ok", f"{count}: {names}")


def _credentials() -> Finding:
    import boto3

    found = boto3.Session().get_credentials()
    if found is None:
        return Finding("S3 credentials", "remark", "none; only local and public data can be read")
    return Finding("S3 credentials", "ok", f"found by {found.method}")
