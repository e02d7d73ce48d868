"""Work handed over to a cluster: settings that its nodes can read, and the way back."""

import hashlib
import json
import re
from pathlib import PurePosixPath
from typing import Literal, TypeVar

from catalogtool import __version__, storage
from catalogtool.config._base import canonical_json
from catalogtool.config.anomaly import AnomalyCompareConfig
from catalogtool.config.compare import CompareConfig
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError
from catalogtool.inputs import address_of, is_simulation
from catalogtool.layout import OutputLayout
from catalogtool.production.outcome import Outcome
from catalogtool.surveys import is_survey_file, load_survey

JOB_PREFIX = "catalogtool-"
JobConfig = RunConfig | CompareConfig | AnomalyCompareConfig
C = TypeVar("C", RunConfig, CompareConfig, AnomalyCompareConfig)
JobKind = Literal["produce", "compare", "compare-anomalies"]
_KINDS: dict[type[JobConfig], JobKind] = {
    RunConfig: "produce",
    CompareConfig: "compare",
    AnomalyCompareConfig: "compare-anomalies",
}
_ADDRESSES = (
    "output",
    "input",
    "labels",
    "source_input",
    "source_labels",
    "model",
    "scorer",
    "host_model",
    "galaxies",
)


def make_portable(config: C, *, shared_disk: bool) -> C:
    """Settings that mean the same on every node.

    Parameters
    ----------
    config : RunConfig, CompareConfig or AnomalyCompareConfig
        What is asked on this machine.
    shared_disk : bool
        Whether local paths are on storage that all nodes mount at the same place.

    Returns
    -------
    RunConfig, CompareConfig or AnomalyCompareConfig
        Addresses are absolute. Private survey files have been copied to the output folder.

    Raises
    ------
    ConfigError
        If an address is a path that other machines cannot see; one line per setting.
    """
    given = {name: uri for name in _ADDRESSES if (uri := getattr(config, name, None)) is not None}
    hidden = [
        name for name, uri in given.items() if storage.is_local(uri) and not is_simulation(uri)
    ]
    if hidden and not shared_disk:
        raise ConfigError(
            "\n".join(
                f"--{name.replace('_', '-')}: {given[name]} is a path of this machine, which the "
                "nodes of the cluster cannot see; give an s3:// URI, or say --shared-disk where "
                "all nodes mount it at the same place"
                for name in hidden
            ),
            settings=hidden,
        )
    addresses = {name: address_of(uri) for name, uri in given.items()}
    surveys = tuple(_portable_survey(name, addresses["output"]) for name in _surveys_of(config))
    named: dict[str, object] = {}
    if isinstance(config, CompareConfig):
        named = {"surveys": surveys}
    elif surveys:
        named = {"survey": surveys[0]}
    return config.model_copy(update={**addresses, **named})


def _surveys_of(config: JobConfig) -> tuple[str, ...]:
    """Names or files of the surveys that are worked on."""
    if isinstance(config, CompareConfig):
        return config.surveys
    return (config.survey,) if isinstance(config, RunConfig) else ()


def _portable_survey(name: str, output: str) -> str:
    if is_survey_file(name) and storage.is_local(name):
        return _copy_survey(name, output)
    return name


def _copy_survey(file: str, output: str) -> str:
    """Copy a survey file to the output folder, under a name that its content decides."""
    survey = load_survey(file)
    for recipe in survey.recipes:
        source = recipe.source_survey
        if is_survey_file(source) and storage.is_local(source):
            raise ConfigError(
                f"{file}: its source survey {source} is a path, which the nodes of the cluster "
                "cannot see; put that file on s3:// and name its URI"
            )
    content = storage.read_bytes(file)
    identity = hashlib.sha256(content).hexdigest()[:12]
    uri = OutputLayout(output).survey(survey.name, identity)
    storage.write_bytes(uri, content)
    return uri


def job_kind(config: JobConfig) -> JobKind:
    """What a job does."""
    return _KINDS[type(config)]


def job_name(config: JobConfig) -> str:
    """Name of jobs without the number of the attempt: equal settings, equal name."""
    facts = {"config": config.to_json(), "code": __version__}
    identity = hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:12]
    subject = next(iter(_surveys_of(config)), config.input or "")
    word = re.sub(r"[^A-Za-z0-9_-]", "-", PurePosixPath(subject).stem)
    kind = "" if job_kind(config) == "produce" else f"{job_kind(config)}-"
    return f"{JOB_PREFIX}{kind}{word}-{identity}"


def write_settings(config: JobConfig, job: str) -> str:
    """Write the settings of a job to its output folder; returns their URI."""
    uri = OutputLayout(config.output).job(job)
    storage.write_bytes(uri, canonical_json(config.to_json()).encode())
    return uri


def write_outcome(settings_uri: str, outcome: Outcome) -> None:
    """Leave the outcome of a job beside its settings."""
    storage.write_bytes(_outcome_uri(settings_uri), canonical_json(outcome.to_json()).encode())


def read_outcome(config: JobConfig, job: str) -> Outcome:
    """Read what a finished job has left."""
    uri = _outcome_uri(OutputLayout(config.output).job(job))
    return Outcome.from_json(json.loads(storage.read_bytes(uri)))


def _outcome_uri(settings_uri: str) -> str:
    return f"{settings_uri.removesuffix('.json')}.outcome.json"
