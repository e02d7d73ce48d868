"""Cutouts in memory: read through the survey's input, scaled, flagged ones left out."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.config.training import DomainData
from catalogtool.flags import FATAL
from catalogtool.inputs import load_format
from catalogtool.inputs._base import Format, votes_of
from catalogtool.inputs.manifest import labelled_rows, read_footer
from catalogtool.preprocess.preparation import Preparation
from catalogtool.surveys._definition import Survey
from catalogtool.training.split import BoolArray, FloatArray, IntArray, Labels

_CHUNK_OBJECTS = 32
_READERS = 4


@dataclass(frozen=True)
class Examples:
    """Prepared cutouts, and their labels if they have any.

    Attributes
    ----------
    images : ndarray, shape (M, c, H, W), float32
    votes : ndarray, shape (M, K), float32
        NaN where labels are not looked at.
    object_id : ndarray, shape (M,), int64
    band : ndarray, shape (M,), int64
        Index of the band; 0 where the network sees all bands.
    flagged : int
        Cutouts that could not be used.
    """

    images: FloatArray
    votes: FloatArray
    object_id: IntArray
    band: IntArray
    flagged: int

    def __len__(self) -> int:
        return len(self.object_id)

    @property
    def is_labelled(self) -> bool:
        """Whether every cutout has a label."""
        return bool(np.isfinite(self.votes).all())

    def take(self, chosen: IntArray) -> "Examples":
        """Some of the cutouts."""
        return Examples(
            images=self.images[chosen],
            votes=self.votes[chosen],
            object_id=self.object_id[chosen],
            band=self.band[chosen],
            flagged=0,
        )


@dataclass(frozen=True)
class DomainRows:
    """Manifest rows of some objects, and their labels."""

    table: pa.Table
    labels: Labels


def open_domain(domain: DomainData) -> Format:
    """Open the input of a domain."""
    form = load_format(domain.input_format)
    return form(domain.survey, domain.input_uri, domain.labels_uri)


def read_labelled_rows(domain: DomainData) -> DomainRows:
    """Read the manifest rows that have labels, from the units that hold any."""
    footer = read_footer(domain.manifest_uri)
    with storage.open_input(domain.manifest_uri) as source:
        file = pq.ParquetFile(source, metadata=footer)
        wanted = [unit for unit, count in enumerate(labelled_rows(footer)) if count]
        units = [_labelled(file.read_row_group(unit)) for unit in wanted or [0]]
    table = pa.concat_tables(units).combine_chunks()
    labels = Labels(
        object_id=table.column("object_id").to_numpy(),
        votes=votes_of(table, domain.survey),
        given_split=np.array(table.column("split").to_pylist(), dtype=np.str_),
    )
    return DomainRows(table, labels)


def _labelled(rows: pa.Table) -> pa.Table:
    return rows.filter(rows.column("votes").is_valid())


def load_examples(
    form: Format,
    rows: DomainRows,
    wanted: BoolArray,
    preparation: Preparation,
    shard: tuple[int, int] = (0, 1),
) -> Examples:
    """Read cutouts into memory, in the order of their rows.

    Parameters
    ----------
    form : Format
        The survey's input.
    rows : DomainRows
        N objects.
    wanted : ndarray, shape (N, R), bool
        The cutouts to read.
    preparation : Preparation
        How pixels are cropped and scaled.
    shard : (int, int)
        Index and number of the workers that share the objects out among them.
    """
    index, count = shard
    chosen = np.flatnonzero(wanted.any(axis=1))[index::count]
    chunks = [chosen[i : i + _CHUNK_OBJECTS] for i in range(0, len(chosen), _CHUNK_OBJECTS)]
    with ThreadPoolExecutor(_READERS) as pool:
        parts = list(pool.map(lambda c: _load_chunk(form, rows, wanted, c, preparation), chunks))
    return _concatenate(parts, form.survey, preparation)


def _load_chunk(
    form: Format,
    rows: DomainRows,
    wanted: BoolArray,
    chosen: IntArray,
    preparation: Preparation,
) -> Examples:
    cutouts = form.read(rows.table.take(chosen))
    images, mask = preparation.crop(cutouts.images), preparation.crop(cutouts.mask)
    flags = cutouts.flags
    if form.survey.labels.per_band:
        images, mask = images[:, :, None], mask[:, :, None]  # (N, R, 1, H, W)
    else:
        images, mask = images[:, None], mask[:, None]  # (N, 1, C, H, W)
        flags = np.bitwise_or.reduce(flags, axis=1, keepdims=True)  # (N, 1)
    usable = (flags & FATAL) == 0
    objects, bands = np.nonzero(wanted[chosen] & usable)
    facts = cutouts.facts
    if facts is not None:
        facts = facts.take(pa.array(objects))
    return Examples(
        images=preparation.apply(images[objects, bands], mask[objects, bands], facts),
        votes=rows.labels.votes[chosen[objects], bands],
        object_id=rows.labels.object_id[chosen[objects]],
        band=bands,
        flagged=int((wanted[chosen] & ~usable).sum()),
    )


def _concatenate(parts: list[Examples], survey: Survey, preparation: Preparation) -> Examples:
    size, channels = preparation.size_pix, preparation.channels(survey.network_channels)
    empty = Examples(
        images=np.zeros((0, channels, size, size), dtype=np.float32),
        votes=np.zeros((0, len(survey.labels.classes)), dtype=np.float32),
        object_id=np.zeros(0, dtype=np.int64),
        band=np.zeros(0, dtype=np.int64),
        flagged=0,
    )
    parts = [empty, *parts]
    return Examples(
        images=np.concatenate([part.images for part in parts]),
        votes=np.concatenate([part.votes for part in parts]),
        object_id=np.concatenate([part.object_id for part in parts]),
        band=np.concatenate([part.band for part in parts]),
        flagged=sum(part.flagged for part in parts),
    )
