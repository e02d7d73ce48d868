"""Surveys that ship with catalogtool, and private ones read from a path."""

from importlib import resources
from pathlib import Path

from catalogtool import storage
from catalogtool._discovery import check_name
from catalogtool.config._base import load_toml, parse_toml
from catalogtool.surveys._definition import Survey


def survey_names() -> tuple[str, ...]:
    """Names of the survey files in this folder, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml")))


def load_survey(name_or_path: str) -> Survey:
    """Load a survey by its name, or from a private file.

    Parameters
    ----------
    name_or_path : str
        A name of `survey_names`, or the address of a private file: anything with a slash or
        ending in ``.toml``.

    Raises
    ------
    UnknownNameError
        If no survey has that name.
    ConfigError
        If the file holds mistakes.
    StorageError
        If its address is a URI that cannot be read.
    """
    if "://" in name_or_path:
        return parse_toml(Survey, storage.read_bytes(name_or_path), where=name_or_path)
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return load_toml(Survey, Path(name_or_path))
    check_name(name_or_path, survey_names(), "surveys")
    with resources.as_file(resources.files(__name__) / f"{name_or_path}.toml") as path:
        return load_toml(Survey, path)
