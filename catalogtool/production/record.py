"""What a run writes down about itself before it starts, and reads again when it goes on."""

import hashlib
import json
import os
from datetime import UTC, datetime

from catalogtool import __version__, storage
from catalogtool.config._base import Settings, build_settings, canonical_json
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError, DataError
from catalogtool.layout import RunLayout
from catalogtool.production.plan import Plan
from catalogtool.training.calibrate import calibration_sentence
from catalogtool.training.model import Model


class RunRecord(Settings):
    """The facts that every worker and every rerun of a run share."""

    run_id: str
    created: str
    """UTC, ISO 8601; the date that the catalog carries."""
    code_version: str
    config: RunConfig
    survey: str
    kinds: tuple[str, ...]
    model_id: str
    model_uri: str
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


def run_id(plan: Plan, model_id: str) -> str:
    """Name of the run of a plan with a model: equal inputs, equal name."""
    facts = {
        "manifest": plan.target.manifest.identity,
        "model": model_id,
        "kinds": plan.kinds,
        "code": __version__,
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:12]


def new_record(plan: Plan, model: Model, threads: int) -> RunRecord:
    """Describe the run of a plan with its model, as of now or of ``SOURCE_DATE_EPOCH``."""
    return RunRecord(
        run_id=run_id(plan, model.model_id),
        created=_now().isoformat(timespec="seconds"),
        code_version=__version__,
        config=plan.config,
        survey=plan.survey.name,
        kinds=plan.kinds,
        model_id=model.model_id,
        model_uri=model.uri,
        manifest_uri=plan.target.manifest.uri,
        manifest_identity=plan.target.manifest.identity,
        objects=plan.target.manifest.objects,
        units=plan.target.manifest.units,
        threads=threads,
        simulated_cutouts=plan.simulated,
        simulated_training=any(spec.simulated for spec in plan.trainings),
        calibration=calibration_sentence(model.metrics.get("calibration")),
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
