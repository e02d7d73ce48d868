"""What a run writes down about itself before it starts, and reads again when it goes on."""

import hashlib
import json
import os
from datetime import UTC, datetime

from catalogtool import __version__, storage
from catalogtool.catalogs import load_kind
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError, DataError
from catalogtool.inference.models import RunModels, model_ids
from catalogtool.layout import RunLayout
from catalogtool.production.plan import Plan
from catalogtool.training.calibrate import calibration_sentence
from catalogtool.training.stored import RECORD_FILE


class RunRecord(Settings):
    """The facts that every worker and every rerun of a run share."""

    run_id: str
    created: str
    """UTC, ISO 8601; the date that the catalog carries."""
    code_version: str
    config: RunConfig
    survey: str
    kinds: tuple[str, ...]
    models: dict[str, str]
    """Identity of the model of each kind."""
    identities: dict[str, str] = {}
    """What each model was to be: the identity of its specification, or of a given model itself."""
    model_uri: str | None
    scorer_uri: str | None = None
    hosts_uri: str | None = None
    embedding_size: int = 0
    manifest_uri: str
    manifest_identity: str
    objects: int
    units: int
    threads: int
    """Threads of every worker: part of what makes parts equal, byte for byte."""
    simulated_cutouts: bool
    simulated_training: bool
    calibration: str = "none"
    """What the probabilities are calibrated by, in words."""

    @property
    def model_folders(self) -> tuple[tuple[str, str], ...]:
        """Folders of the models by what they are."""
        folders = {
            "model": self.model_uri,
            "scorer": self.scorer_uri,
            "model of hosts": self.hosts_uri,
        }
        return tuple((name, uri) for name, uri in folders.items() if uri is not None)


def run_id(plan: Plan, models: dict[str, str]) -> str:
    """Name of the run of a plan with a model per kind: equal inputs, equal name."""
    facts = {
        "manifest": plan.target.manifest.identity,
        "models": models,
        "kinds": plan.kinds,
        "galaxies": plan.galaxies_identity,
        "code": __version__,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:12]


def identities(plan: Plan) -> dict[str, str]:
    """What decides the model of each kind of a plan."""
    found: dict[str, str] = {}
    if plan.trainings:
        found["network"] = found["features"] = _identity(
            plan.config.model, plan.trainings[-1].identity
        )
    if plan.scorer is not None:
        found["scorer"] = _identity(plan.config.scorer, plan.scorer.identity)
    if plan.hosts is not None:
        own = _identity(plan.config.host_model, plan.hosts.identity)
        found["hosts"] = f"{own} {plan.galaxies_identity}" if plan.galaxies_identity else own
    makers = {kind: load_kind(kind).maker for kind in plan.kinds}
    return {kind: found[maker] for kind, maker in makers.items() if maker in found}


def _identity(given: str | None, planned: str) -> str:
    """Identity of a given model, which its record tells, or else of the one that is planned."""
    if given is None:
        return planned
    record = json.loads(storage.read_bytes(storage.join(given, RECORD_FILE)))
    return str(record["model_id"])


def new_record(plan: Plan, models: RunModels, threads: int) -> RunRecord:
    """Describe the run of a plan with its models, as of now or of ``SOURCE_DATE_EPOCH``."""
    ids = model_ids(models, plan.kinds)
    calibrated = {} if models.network is None else models.network.metrics
    return RunRecord(
        run_id=run_id(plan, ids),
        created=_now().isoformat(timespec="seconds"),
        code_version=__version__,
        config=plan.config,
        survey=plan.survey.name,
        kinds=plan.kinds,
        models=ids,
        identities=identities(plan),
        model_uri=plan.model_uri,
        scorer_uri=plan.scorer_uri,
        hosts_uri=plan.hosts_uri,
        embedding_size=models.embedding_size,
        manifest_uri=plan.target.manifest.uri,
        manifest_identity=plan.target.manifest.identity,
        objects=plan.target.manifest.objects,
        units=plan.target.manifest.units,
        threads=threads,
        simulated_cutouts=plan.simulated,
        simulated_training=plan.simulated_training,
        calibration=calibration_sentence(calibrated.get("calibration")),
    )


def _now() -> datetime:
    """Time that a run bears: the convention of reproducible builds makes two runs' files equal."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if seconds is None:
        return datetime.now(UTC)
    if not seconds.isdecimal():
        raise ConfigError(
            f"SOURCE_DATE_EPOCH: expected whole seconds since 1970, not {seconds!r}; correct or "
            "unset it"
        )
    return datetime.fromtimestamp(int(seconds), UTC)


def keep_record(run: RunLayout, record: RunRecord) -> RunRecord:
    """Write a run's record unless it has one; either way return the one that counts."""
    storage.create_bytes(run.record, canonical_json(record.to_json()).encode())
    return read_record(run)


def read_record(run: RunLayout) -> RunRecord:
    """Read the record of a run.

    Raises
    ------
    DataError
        If there is none, or it is damaged.
    """
    data = storage.read_bytes(run.record)
    try:
        values = json.loads(data)
    except ValueError as error:
        raise DataError(f"{run.record}: damaged run record: {error}") from error
    return build_settings(RunRecord, values, where=run.record)
