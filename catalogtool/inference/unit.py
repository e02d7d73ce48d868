"""One unit of work: read, predict, write the parts, and last the line that makes them count."""

import hashlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import Predictions
from catalogtool.config._base import build_settings, canonical_json
from catalogtool.errors import ConfigError, DataError
from catalogtool.flags import FATAL, Flag, names
from catalogtool.hosts.crossmatch import Galaxies
from catalogtool.inference.forms import REFERENCE, FormChoice, choose_form, default_minibatch
from catalogtool.inference.host_fields import FieldStore
from catalogtool.inference.hosts import HostPredictor
from catalogtool.inference.models import load_models
from catalogtool.inference.parquet_bytes import parquet_bytes
from catalogtool.inference.predictor import Predictor, join_predictions
from catalogtool.inputs import load_format
from catalogtool.inputs._base import Cutouts, Format
from catalogtool.inputs.manifest import Manifest
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerLine, PartLine
from catalogtool.surveys._definition import Survey
from catalogtool.training.model import Model

log = logging.getLogger(__name__)

CHUNK_BYTES = 16 << 20
"""Pixels that are read while as many are predicted; bounds a worker's memory."""
_OF_NETWORK = ("network", "features", "scorer")
"""Makers whose rows come of one pass through the network."""
_SAMPLE_OBJECTS = 16
_SAMPLE_CUTOUTS = 64
"""Seen by every form before one is chosen, which takes a second or two each."""


@dataclass(frozen=True)
class UnitTask:
    """Everything that a worker needs to know about a run; small, and safe to send.

    Attributes
    ----------
    survey : Survey
        The survey that gets the catalog.
    input_format, input_uri, labels_uri : str
        How to open its input.
    manifest : Manifest
        Its objects.
    model_uri : str or None
        Folder of the network's model; None: no kind needs one.
    kinds : tuple of str
        Catalog kinds to write.
    run_uri : str
        Folder of the run.
    form : str or None
        Form of the network; None: the first worker chooses one for the whole run.
    minibatch : int or None
        Cutouts per forward pass; None: what suits the device.
    threads : int
        Torch threads per worker.
    objects_per_worker : int
        What a worker has to expect, which decides whether compilation is worth its time.
    scorer_uri, hosts_uri : str or None
        Folders of what tells unusual objects by their features, and of the model of hosts.
    kept_run_uri : str or None
        Folder of an earlier run over the same units.
    kept : tuple of str
        Kinds whose parts are taken from it.
    host_band : int
        Index of the band in which hosts are looked for.
    galaxies : str or None
        Galaxies that hosts are matched with.
    fields_uri : str or None
        Folder of what hosts are found in, for runs to come; None: nothing is kept.
    """

    survey: Survey
    input_format: str
    input_uri: str | None
    labels_uri: str | None
    manifest: Manifest
    model_uri: str | None
    kinds: tuple[str, ...]
    run_uri: str
    form: str | None = None
    minibatch: int | None = None
    threads: int = 1
    objects_per_worker: int = 0
    scorer_uri: str | None = None
    hosts_uri: str | None = None
    kept_run_uri: str | None = None
    kept: tuple[str, ...] = ()
    host_band: int = 0
    galaxies: str | None = None
    fields_uri: str | None = None

    @property
    def run(self) -> RunLayout:
        """Addresses of the run."""
        return RunLayout(self.run_uri)


class UnitWorker:
    """Processes units one after the other.

    Parameters
    ----------
    task : UnitTask
        What to do.
    """

    def __init__(self, task: UnitTask) -> None:
        torch.set_num_threads(task.threads)
        self.task = task
        # One thread for all units: what a thread's allocations leave behind serves only itself.
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self.source: Format = load_format(task.input_format)(
            task.survey, task.input_uri, task.labels_uri
        )
        self.kinds = {name: load_kind(name) for name in task.kinds if name not in task.kept}
        models = load_models(task.model_uri, task.scorer_uri, task.hosts_uri)
        makers = {kind.maker for kind in self.kinds.values()}
        self.contexts = {
            name: models.context(task.survey, kind) for name, kind in self.kinds.items()
        }
        self.form = REFERENCE.name
        self.predictor: Predictor | None = None
        if models.network is not None and makers - {"hosts"}:
            choice = settle_form(task, models.network, self.source)
            self.form = choice.name
            self.predictor = Predictor(
                models.network,
                choice.name,
                task.threads,
                choice.minibatch,
                with_features="features" in makers,
                scorer=models.scorer if "scorer" in makers else None,
            )
        self.fields = FieldStore(task.fields_uri) if task.fields_uri else None
        self.hosts: HostPredictor | None = None
        if models.hosts is not None and "hosts" in makers:
            galaxies = Galaxies.read(task.galaxies) if task.galaxies else None
            scale = task.survey.pixel_scale_arcsec
            self.hosts = HostPredictor(models.hosts, task.host_band, scale, task.threads, galaxies)

    def process(self, unit: int) -> LedgerLine:
        """Read, predict and write one unit.

        Parameters
        ----------
        unit : int
            Row group of the manifest.

        Returns
        -------
        LedgerLine
            What became of its rows; written to the run folder after all parts.
        """
        rows = self.task.manifest.read_unit(unit)
        found = dict(self._kept_parts(unit))
        predictions = self._predict(unit, rows)
        for name, kind in self.kinds.items():
            found[name] = self._write(unit, name, rows, predictions[kind.maker])
        parts = tuple(found[name] for name in self.task.kinds)
        line = LedgerLine(unit=unit, objects=rows.num_rows, form=self.form, parts=parts)
        storage.write_bytes(self.task.run.ledger_line(unit), line.to_bytes())
        return line

    def _kept_parts(self, unit: int) -> Iterator[tuple[str, PartLine]]:
        """Copy the parts that an earlier run has made in the same way."""
        if self.task.kept_run_uri is None:
            return
        earlier = RunLayout(self.task.kept_run_uri)
        where = earlier.ledger_line(unit)
        line = LedgerLine.from_bytes(storage.read_bytes(where), where)
        for part in line.parts:
            if part.kind in self.task.kept:
                data = storage.read_bytes(earlier.part(part.kind, unit))
                if hashlib.sha256(data).hexdigest() != part.sha256:
                    raise DataError(
                        f"{earlier.part(part.kind, unit)}: is damaged: not what the ledger of "
                        f"{earlier.uri} tells of; run without --only-stale"
                    )
                storage.write_bytes(self.task.run.part(part.kind, unit), data)
                yield part.kind, part

    def _predict(self, unit: int, rows: pa.Table) -> dict[str, Predictions]:
        """What network and model of hosts say, by maker; pixels are read once for both.

        Not at all, where only hosts are wanted and an earlier run has left their fields.
        """
        fields = self.fields.read(unit, rows) if self.hosts and self.fields else None
        describes = self.hosts if fields is None else None
        chunks = self._chunks(rows) if self.predictor or describes else ()
        said, described = [], []
        for cutouts, some in chunks:
            if self.predictor:
                said.append(self.predictor.predict(cutouts))
            if describes:
                described.append(describes.describe(cutouts, some))
        found = {}
        if said:
            found = dict.fromkeys(_OF_NETWORK, join_predictions(said))
        if described:
            fields = pa.concat_tables(described)
            if self.fields:
                self.fields.write(unit, fields)
        if self.hosts:
            found["hosts"] = self.hosts.find(fields, rows)
        return found

    def _chunks(self, rows: pa.Table) -> Iterator[tuple[Cutouts, pa.Table]]:
        objects = chunk_objects(self.task.survey)
        ahead = read_ahead(self.reader, self.source, rows, objects)
        return zip(ahead, row_slices(rows, objects), strict=True)

    def _write(self, unit: int, name: str, rows: pa.Table, said: Predictions) -> PartLine:
        kind = self.kinds[name]
        table = kind.finalize(self.contexts[name], rows, said)
        data = parquet_bytes(table)
        storage.write_bytes(self.task.run.part(name, unit), data)
        per_object = said.flags.shape[1] if "band" in kind.key else 1
        line = count_rows(name, rows.num_rows * per_object, table, data)
        line.check(unit)
        return line


def settle_form(task: UnitTask, model: Model, source: Format) -> FormChoice:
    """Form that the whole run predicts with: the first worker records its choice, all follow.

    A rerun finds the record, so that its parts equal those that exist, byte for byte.
    """
    record = task.run.form
    if not storage.exists(record):
        choice = _choose_form(task, model, source)
        if storage.create_bytes(record, canonical_json(choice.to_json()).encode()):
            log.info("the network predicts as %s, %.0f cutouts/s", choice.name, choice.rate)
            return choice
    choice = build_settings(FormChoice, json.loads(storage.read_bytes(record)), where=record)
    if task.form not in (None, choice.name):
        raise ConfigError(
            f"{record}: this run predicts as {choice.name}, not as {task.form}; its parts would "
            f"not be alike. Leave --form away, or choose another --output"
        )
    return choice


def _choose_form(task: UnitTask, model: Model, source: Format) -> FormChoice:
    minibatch = task.minibatch or default_minibatch()
    if task.form is not None:
        return FormChoice(name=task.form, minibatch=minibatch, rate=0.0, max_change=0.0)
    cutouts = task.objects_per_worker * task.survey.rows_per_object
    sample = _sample(task, model, source)
    return choose_form(model.network, sample, cutouts, minibatch, model.calibration)


def _sample(task: UnitTask, model: Model, source: Format) -> torch.Tensor:
    rows = task.manifest.read_unit(0).slice(0, _SAMPLE_OBJECTS)
    cutouts = source.read(rows)
    spec, preparation = model.spec, model.spec.preparation
    shape = (-1, spec.channels, spec.size_pix, spec.size_pix)
    images = preparation.crop(cutouts.images).reshape(shape)
    mask = preparation.crop(cutouts.mask).reshape(shape)
    prepared = preparation.apply(images, mask, cutouts.facts)
    return torch.from_numpy(prepared[:_SAMPLE_CUTOUTS])


def chunk_objects(survey: Survey) -> int:
    """Objects that are read at once: a fixed number, so that results are reproducible."""
    object_bytes = len(survey.bands) * survey.cutout_size_pix**2 * 5  # float32 and mask
    return max(16, CHUNK_BYTES // object_bytes // 16 * 16)


def read_ahead(
    reader: ThreadPoolExecutor, source: Format, rows: pa.Table, objects: int
) -> Iterator[Cutouts]:
    """Read cutouts in chunks; the next one is read while the caller works on this one."""
    slices = row_slices(rows, objects)
    ahead = reader.submit(source.read, slices[0])
    for following in slices[1:]:
        chunk, ahead = ahead.result(), reader.submit(source.read, following)
        yield chunk
    yield ahead.result()


def row_slices(rows: pa.Table, objects: int) -> list[pa.Table]:
    """Consecutive rows, so many at a time."""
    return [rows.slice(start, objects) for start in range(0, rows.num_rows, objects)]


def count_rows(kind: str, rows_in: int, table: pa.Table, data: bytes) -> PartLine:
    """Account for the rows of a part by their flags and positions.

    Parameters
    ----------
    kind : str
        Catalog kind.
    rows_in : int
        Rows that the manifest promises.
    table : pa.Table
        Rows of the part.
    data : bytes
        The part file.
    """
    fatal = table.column("flags").to_numpy() & int(FATAL)
    placed = pc.and_(table.column("ra").is_valid(), table.column("dec").is_valid()).to_numpy()
    fatal = np.where(placed, fatal, fatal | Flag.NO_POSITION)
    reasons: dict[str, int] = {}
    for bits, count in zip(*np.unique(fatal[fatal != 0], return_counts=True), strict=True):
        for name in names(int(bits)):
            reasons[name] = reasons.get(name, 0) + int(count)
    return PartLine(
        kind=kind,
        rows_in=rows_in,
        rows_written=int((fatal == 0).sum()),
        rows_flagged=int((placed & (fatal != 0)).sum()),
        rows_unplaced=int((~placed).sum()),
        reasons=dict(sorted(reasons.items())),
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
