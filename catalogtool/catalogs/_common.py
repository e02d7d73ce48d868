"""Columns and values that catalog kinds share."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.flags import FATAL, MEANINGS
from catalogtool.schema import Column

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]

OBJECT_COLUMNS = (
    Column(
        "object_id", "int64", "Identifier of the object, unique in its survey", "meta.id;meta.main"
    ),
    Column("source_id", "string", "Name of the object in its survey", "meta.id", width=128),
    Column("ra", "float64", "Right ascension, ICRS", "pos.eq.ra;meta.main", unit="deg"),
    Column("dec", "float64", "Declination, ICRS", "pos.eq.dec;meta.main", unit="deg"),
)

_BITS = "; ".join(f"{m.flag.value} {m.flag.name}: {m.description}" for m in MEANINGS)

QUALITY_COLUMNS = (
    Column("has_prediction", "bool", "Whether the row has a prediction", "meta.code"),
    Column("flags", "int32", f"Sum of quality bits, 0 for none. {_BITS}", "meta.code.qual"),
    Column("model_id", "string", "Identity of the model that predicted", "meta.version", width=128),
)


CONFIDENCE = Column(
    "confidence", "float32", "Probability of the most probable class", "stat.probability;stat.max"
)
ENTROPY = Column(
    "entropy",
    "float32",
    "Shannon entropy of the class probabilities, in nats; 0 is certain",
    "phys.entropy",
)

MORPHOLOGY, SOURCE_CLASS = "src.morph.type", "src.class"
"""What classes are classes of, in the words of the virtual observatory."""


def probability_column(name: str, class_name: str, where: str, of: str = MORPHOLOGY) -> Column:
    """Column of the probability of one class."""
    text = f"Probability that the object is of class {class_name} {where}; null without prediction"
    return Column(name, "float32", text, f"stat.probability;{of}")


def class_column(name: str, context: CatalogContext, where: str, of: str = MORPHOLOGY) -> Column:
    """Column of the most probable class, wide enough for every class."""
    width = max(len(class_name.encode()) for class_name in context.classes)
    text = f"Most probable class {where}; empty without prediction"
    return Column(name, "string", text, of, width=width)


def row_flags(rows: pa.Table, predictions: Predictions) -> IntArray:
    """Flags of listing and prediction together, shape (N, R), int32."""
    listed = rows.column("flags").to_numpy().astype(np.int32)
    merged: IntArray = predictions.flags | listed[:, None]
    return merged


def predicted(flags: IntArray, probabilities: FloatArray) -> BoolArray:
    """Whether there is a prediction, shape (N, R): no fatal flag and finite probabilities."""
    unflagged: BoolArray = (flags & int(FATAL)) == 0
    return unflagged & np.isfinite(probabilities).all(axis=-1)


def object_flags(flags: IntArray, valid: BoolArray) -> IntArray:
    """Bits of all bands (N, R) as those of the objects (N,); fatal ones where no band is valid."""
    kept = np.where(valid.any(axis=1), ~int(FATAL), -1)
    merged: IntArray = (np.bitwise_or.reduce(flags, axis=1) & kept).astype(np.int32)
    return merged


def usable(rows: pa.Table, predictions: Predictions) -> tuple[BoolArray, IntArray]:
    """Which objects have pixels that a model could use (N,), and the objects' flags (N,)."""
    flags = row_flags(rows, predictions)
    unflagged: BoolArray = (flags & int(FATAL)) == 0
    some: BoolArray = np.asarray(unflagged.any(axis=1))
    return some, object_flags(flags, unflagged)


def vectors(values: FloatArray) -> pa.Array:
    """Fixed-size lists of the rows of an array of shape (N, D)."""
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def nullable(values: FloatArray, valid: BoolArray) -> pa.Array:
    """Arrow array, null where not valid."""
    return pa.array(values, mask=~valid)


def class_names(probabilities: FloatArray, valid: BoolArray, classes: tuple[str, ...]) -> pa.Array:
    """Most probable class of each row of shape (M, K); the empty string where not valid.

    Of equally probable classes the first one is named.
    """
    best = np.argmax(np.where(valid[:, None], probabilities, -1), axis=1)  # (M,)
    return pa.array(np.where(valid, np.asarray(classes)[best], ""), pa.string())


def entropy_nat(probabilities: FloatArray) -> FloatArray:
    """Shannon entropy over the last axis in nats, ``-sum p ln p`` with ``0 ln 0 = 0``."""
    p = probabilities.astype(np.float64)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    # Rounding of a certain prediction must not give a negative zero.
    entropy: FloatArray = np.maximum(-(p * logs).sum(axis=-1), 0).astype(np.float32)
    return entropy


def object_arrays(rows: pa.Table, repeats: int) -> list[pa.Array]:
    """Arrays of `OBJECT_COLUMNS`, each object repeated in place."""
    index = pa.array(np.repeat(np.arange(rows.num_rows), repeats))
    names = [column.name for column in OBJECT_COLUMNS]
    taken = rows.select(names).take(index)
    return [taken.column(name).combine_chunks() for name in names]


def constant(text: str, count: int) -> pa.Array:
    """String array of one value."""
    return pa.repeat(pa.scalar(text), count)
