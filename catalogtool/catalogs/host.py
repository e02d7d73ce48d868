"""Host: the galaxy that a transient is in, or that it has none."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalogtool.catalogs._base import CatalogContext, CatalogKind, Predictions
from catalogtool.catalogs._common import (
    OBJECT_COLUMNS,
    QUALITY_COLUMNS,
    constant,
    object_arrays,
    usable,
)
from catalogtool.schema import Column, arrow_schema

_PROBABILITY = "stat.probability;src"


def _offset(name: str, what: str) -> tuple[Column, Column]:
    """Offsets from the transient to the east and to the north."""
    east, north = (
        Column(
            f"{name}_{direction}_arcsec",
            "float32",
            f"{what} to the {direction}",
            f"pos.eq.{axis};arith.diff",
            unit="arcsec",
        )
        for direction, axis in (("east", "ra"), ("north", "dec"))
    )
    return east, north


_FOUND = (
    *_offset("offset", "Offset of the host from the transient"),
    *_offset("network", "Mean of the network's votes for the offset"),
    *_offset("nearest", "Offset of the nearest source, a simpler rule,"),
    *_offset("lightest", "Offset of the source with the smallest light radius, a simpler rule,"),
    Column("host_ra", "float64", "Right ascension of the host, ICRS", "pos.eq.ra", unit="deg"),
    Column("host_dec", "float64", "Declination of the host, ICRS", "pos.eq.dec", unit="deg"),
    Column(
        "scatter_arcsec",
        "float32",
        "Scatter of the network's eight votes around their mean",
        "stat.stdev;pos",
        unit="arcsec",
    ),
    Column("host_probability", "float32", "Probability of the most probable source", _PROBABILITY),
    Column(
        "hostless_probability", "float32", "Probability that no source is the host", _PROBABILITY
    ),
    Column(
        "second_probability",
        "float32",
        "Probability of the second most probable source",
        _PROBABILITY,
    ),
    Column(
        "second_ra",
        "float64",
        "Right ascension of the second source, ICRS",
        "pos.eq.ra",
        unit="deg",
    ),
    Column(
        "second_dec", "float64", "Declination of the second source, ICRS", "pos.eq.dec", unit="deg"
    ),
    Column(
        "semi_major_arcsec",
        "float32",
        "Semi-major axis of the most probable source's isophote",
        "phys.angSize.smajAxis",
        unit="arcsec",
    ),
    Column(
        "semi_minor_arcsec",
        "float32",
        "Semi-minor axis of the most probable source's isophote",
        "phys.angSize.sminAxis",
        unit="arcsec",
    ),
    Column(
        "major_axis_angle_deg",
        "float32",
        "Position angle of its major axis, from north through east",
        "pos.posAng",
        unit="deg",
    ),
    Column(
        "light_radii",
        "float32",
        "Directional light radius: separation from it over its radius towards the transient",
        "stat.param",
    ),
    Column(
        "matched_probability",
        "float32",
        "Probability that the matched galaxy is the host; null without one",
        _PROBABILITY,
    ),
    Column(
        "matched_separation_arcsec",
        "float32",
        "Distance of the matched galaxy from the host; null without one",
        "pos.angDistance",
        unit="arcsec",
    ),
    Column("redshift", "float32", "Redshift of the matched galaxy", "src.redshift"),
)
_TYPES = {"float32": pa.float32(), "float64": pa.float64()}

FINDINGS = pa.schema(
    [
        *(pa.field(column.name, _TYPES[column.dtype]) for column in _FOUND),
        pa.field("is_detected", pa.bool_()),
        pa.field("matched_id", pa.string()),
    ]
)
"""What a model of hosts says of each object."""

_DERIVED = (
    Column(
        "separation_arcsec",
        "float32",
        "Distance of the host from the transient",
        "pos.angDistance",
        unit="arcsec",
    ),
    Column(
        "position_angle_deg",
        "float32",
        "Direction from the transient to the host, from north through east",
        "pos.posAng",
        unit="deg",
    ),
)
_CODES = (
    Column(
        "is_detected",
        "bool",
        "Whether the host is a source of the image; else its place is the network's",
        "meta.code",
    ),
    Column(
        "is_ambiguous",
        "bool",
        "Whether the second source is at least half as probable as the first",
        "meta.code",
    ),
    Column(
        "matched_id",
        "string",
        "Identifier of the matched galaxy, or empty",
        "meta.id.cross",
        width=64,
    ),
)


def columns(context: CatalogContext) -> tuple[Column, ...]:
    """Declare the columns."""
    del context
    return (*OBJECT_COLUMNS, *_DERIVED, *_FOUND, *_CODES, *QUALITY_COLUMNS)


def finalize(context: CatalogContext, rows: pa.Table, predictions: Predictions) -> pa.Table:
    """Turn findings into rows, one per object, in manifest order.

    Parameters
    ----------
    context : CatalogContext
        Model.
    rows : pa.Table
        Manifest rows of N objects.
    predictions : Predictions
        With findings of the schema `FINDINGS`.

    Returns
    -------
    pa.Table
        N rows.
    """
    assert predictions.findings is not None
    unflagged, flags = usable(rows, predictions)
    found = predictions.findings.combine_chunks()
    valid = unflagged & pc.is_valid(found.column("host_probability")).to_numpy()
    is_valid = pa.array(valid)
    values = {
        name: pc.if_else(
            is_valid, found.column(name), pa.scalar(None, found.schema.field(name).type)
        )
        for name in found.column_names
    }
    east, north = values["offset_east_arcsec"], values["offset_north_arcsec"]
    values["separation_arcsec"] = pc.sqrt(
        pc.add(pc.multiply(east, east), pc.multiply(north, north))
    )
    angle = np.degrees(np.arctan2(_numbers(east), _numbers(north))) % 360
    values["position_angle_deg"] = pa.array(angle.astype(np.float32), mask=~valid)
    half = pc.multiply(values["host_probability"], pa.scalar(0.5, pa.float32()))
    values["is_ambiguous"] = pc.fill_null(
        pc.greater_equal(values["second_probability"], half), fill_value=False
    )
    values["is_detected"] = pc.fill_null(values["is_detected"], fill_value=False)
    values["matched_id"] = pc.fill_null(values["matched_id"], "")
    named = (*_DERIVED, *_FOUND, *_CODES)
    arrays = [
        *object_arrays(rows, 1),
        *(values[column.name] for column in named),
        is_valid,
        pa.array(flags),
        constant(context.model_id, rows.num_rows),
    ]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns(context)))


def _numbers(values: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.fill_null(values, 0), dtype=np.float64)


CATALOG = CatalogKind(
    title="Host",
    key=("object_id",),
    columns=columns,
    finalize=finalize,
    extends=True,
    findings=FINDINGS,
    maker="hosts",
)
