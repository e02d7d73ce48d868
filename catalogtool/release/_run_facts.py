"""What a run folder tells about itself to somebody who publishes it."""

import json
from dataclasses import dataclass
from typing import Any

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.config._base import build_settings
from catalogtool.config.training import TrainingSpec
from catalogtool.errors import CatalogtoolError, ConfigError, ReleaseError, StorageError
from catalogtool.layout import OutputLayout, RunLayout


@dataclass(frozen=True)
class RunFacts:
    """A committed run.

    Attributes
    ----------
    run : RunLayout
        Its folder.
    record : dict
        Content of run.json.
    catalogs : dict
        SHA-256 of each kind's list of file hashes, as the run committed it.
    """

    run: RunLayout
    record: dict[str, Any]
    catalogs: dict[str, str]

    @property
    def simulated_cutouts(self) -> bool:
        """Whether the pixels were made up."""
        return bool(self.record["simulated_cutouts"])

    @property
    def simulated_training(self) -> bool:
        """Whether the network learned from pixels that were made up."""
        return bool(self.record["simulated_training"])

    def provenance(self, kind: str) -> dict[str, Any]:
        """Where the rows of a catalog come from: inputs, model and code."""
        record = self.record
        names = ("run_id", "created", "code_version", "survey", "objects")
        return {
            **{name: record[name] for name in names},
            "kind": kind,
            "collection_sha256": self.catalogs[kind],
            "inputs": {"manifest_identity": record["manifest_identity"], "list": "inputs.parquet"},
            "model": self._model_card(kind),
            "calibration": record.get("calibration", "none"),
            "simulated_cutouts": self.simulated_cutouts,
            "simulated_training": self.simulated_training,
        }

    def _model_card(self, kind: str) -> dict[str, Any]:
        maker = load_kind(kind).maker
        if maker in ("scorer", "hosts"):
            return self._other_card(str(self.record[f"{maker}_uri"]), maker)
        where = storage.join(self.record["model_uri"], "run.json")
        try:
            model = json.loads(storage.read_bytes(where))
            spec = build_settings(TrainingSpec, model["spec"], where)
            return {
                "model_id": model["model_id"],
                "weights_sha256": model["weights_sha256"],
                "training_identity": spec.identity,
                "network": spec.network,
                "method": spec.method,
                "classes": list(spec.classes),
                "code_version": spec.code_version,
                "metrics": model["metrics"],
            }
        except (ValueError, KeyError, TypeError, CatalogtoolError) as error:
            raise ReleaseError(
                f"{where}: the model of the run cannot be described: {error}; publish from where "
                "the run was made"
            ) from error

    def _other_card(self, folder: str, maker: str) -> dict[str, Any]:
        """Card of a model that names no classes."""
        where = storage.join(folder, "run.json")
        model = _read_json(where, f"{where}: is missing; publish from where the run was made")
        spec = model["spec"]
        return {
            "model_id": model["model_id"],
            "weights_sha256": model["weights_sha256"],
            "network": spec["network"] if maker == "scorer" else "delight",
            "method": spec["method"] if maker == "scorer" else "candidates",
            "code_version": spec["code_version"],
            "metrics": model.get("metrics", {}),
        }


def find_run(place: str, survey: str | None) -> RunFacts:
    """A run by its folder, or the newest one of a survey by the output folder.

    Raises
    ------
    ReleaseError
        If the run is not committed, or there is none.
    """
    run = RunLayout(place)
    if survey is not None:
        latest = read_latest(OutputLayout(place), survey)
        if latest is None:
            raise ReleaseError(
                f"{place}: has no finished run over all objects of {survey}; produce one first"
            )
        run = latest
    commit = _read_json(
        run.commit,
        f"{run.uri}: is not a finished run; finish it with produce, or name an output folder and "
        "its --survey",
    )
    record = _read_json(run.record, f"{run.uri}: lacks run.json")
    return RunFacts(run, record, commit["catalogs"])


def read_latest(layout: OutputLayout, survey: str) -> RunLayout | None:
    """The newest finished run over all objects of a survey, if there is one."""
    where = layout.latest(survey)
    if not storage.exists(where):
        return None
    return RunLayout(_read_json(where, f"{where}: is gone")["run"])


def _read_json(uri: str, missing: str) -> dict[str, Any]:
    try:
        values = json.loads(storage.read_bytes(uri))
    except StorageError as error:
        if error.context.get("missing"):
            raise ReleaseError(missing) from error
        raise
    except ValueError as error:
        raise ReleaseError(f"{uri}: is damaged: {error}") from error
    if not isinstance(values, dict):
        raise ReleaseError(f"{uri}: is damaged: expected a JSON object")
    return values


def chosen_kinds(facts: RunFacts, kind: str | None) -> tuple[str, ...]:
    """The kinds to publish: one, or all of the run.

    Raises
    ------
    ConfigError
        If the run has no such catalog.
    """
    if kind is None:
        return tuple(sorted(facts.catalogs))
    if kind not in facts.catalogs:
        known = ", ".join(sorted(facts.catalogs))
        raise ConfigError(f"{facts.run.uri}: has no catalog {kind!r}; it has: {known}")
    return (kind,)
