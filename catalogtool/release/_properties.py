"""Text of the property files of a HATS collection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from catalogtool import __version__
from catalogtool.catalogs._base import CatalogContext, CatalogKind, SummaryKind
from catalogtool.release._tiling import ORDER, Tiling
from catalogtool.release.voparquet import HEALPIX
from catalogtool.surveys._definition import Survey

Properties = dict[str, str]

LEAF_FOLDERS = "/"
"""Suffix of partitions that are folders of files."""

JOIN_COLUMN = "object_id"
"""Column that all tables of a collection share."""

_SLIM_EXCLUDES = ("source_id", "model_id")
"""Columns that readers load only when asked to."""


@dataclass(frozen=True)
class ReleaseInfo:
    """What a release says of itself beyond its rows."""

    survey: Survey
    context: CatalogContext
    run_id: str
    created: datetime
    """Time of the run, UTC; the only thing that differs between two runs with equal rows."""
    simulated_pixels: bool
    simulated_training: bool
    calibration: str = "none"
    """What makes the probabilities honest, and which labels it was fitted to."""
    rows_per_partition: int = 1_000_000
    margin_arcsec: float = 10.0


@dataclass(frozen=True)
class TableFacts:
    """Measured facts of one table."""

    name: str
    rows: int
    size_bytes: int
    tiling: Tiling
    npix_suffix: str = ".parquet"


def collection_properties(name: str, margin: str, extensions: Sequence[str] = ()) -> Properties:
    """Properties of the collection of a primary table, its margin and its extensions."""
    properties = {
        "obs_collection": name,
        "hats_primary_table_url": name,
        "all_margins": margin,
        "default_margin": margin,
    }
    if extensions:
        pairs = (f"{alias} {alias}.properties" for alias in extensions)
        properties["all_extensions"] = " ".join(pairs)
    return properties


def extension_properties(
    alias: str, primary: str, folder: str, columns: Sequence[str]
) -> Properties:
    """Properties of an extension: what joins a collection, and by which column."""
    return {
        "obs_collection": alias,
        "dataproduct_type": "extension",
        "hats_primary_table_url": primary,
        "hats_col_assn_primary": JOIN_COLUMN,
        "hats_assn_join_table_url": folder,
        "hats_col_assn_join": JOIN_COLUMN,
        "hats_ext_cols": " ".join(columns),
        "hats_ext_join_style": "left",
        "hats_ext_shares_primary_coords": "true",
    }


def primary_properties(
    facts: TableFacts, kind: CatalogKind | SummaryKind, info: ReleaseInfo, skymap_order: int
) -> Properties:
    """Properties of the table of all rows."""
    columns = kind.columns(info.context)
    return {
        "obs_collection": facts.name,
        "dataproduct_type": "object",
        **_table(facts, kind, info),
        "hats_skymap_order": str(skymap_order),
        "data_ucd": " ".join(sorted({column.ucd for column in columns})),
        **_description(kind, info),
        **_provenance(info),
    }


def margin_properties(
    facts: TableFacts, primary: str, kind: CatalogKind | SummaryKind, info: ReleaseInfo
) -> Properties:
    """Properties of the table of rows near the edges of other partitions."""
    return {
        "obs_collection": facts.name,
        "dataproduct_type": "margin",
        "hats_primary_table_url": primary,
        "hats_margin_threshold": f"{info.margin_arcsec:g}",
        **_table(facts, kind, info),
        **_provenance(info),
    }


def _table(facts: TableFacts, kind: CatalogKind | SummaryKind, info: ReleaseInfo) -> Properties:
    names = [column.name for column in kind.columns(info.context)]
    area = float((0.25**facts.tiling.orders).sum() / 12)
    return {
        "hats_nrows": str(facts.rows),
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_col_healpix": HEALPIX.name,
        "hats_col_healpix_order": str(ORDER),
        "hats_order": str(int(np.max(facts.tiling.orders, initial=0))),
        "hats_max_rows": str(info.rows_per_partition),
        "hats_npix_suffix": facts.npix_suffix,
        "hats_cols_default": " ".join(name for name in names if name not in _SLIM_EXCLUDES),
        "hats_cols_survey_id": " ".join(kind.key),
        "hats_cols_sort": " ".join((HEALPIX.name, *kind.key)),
        "hats_estsize": str(-(-facts.size_bytes // 1024)),
        "hats_frame": "equatorial",
        "hats_version": "v1.0",
        "hats_release_date": "2025-08-22",
        "moc_sky_fraction": f"{area:.10f}",
    }


def _description(kind: CatalogKind | SummaryKind, info: ReleaseInfo) -> Properties:
    simulated = "Made from simulated cutouts. " if info.simulated_pixels else ""
    return {
        "obs_title": f"{kind.title} of {info.survey.title}",
        "obs_description": simulated + info.survey.description,
        "obs_regime": info.survey.regime,
        "bib_reference": info.survey.reference,
    }


def _provenance(info: ReleaseInfo) -> Properties:
    return {
        "hats_builder": f"catalogtool v{__version__}",
        "hats_creation_date": f"{info.created:%Y-%m-%dT%H:%MZ}",
        "hats_data_semver": "1.0.0",
        "catalogtool_version": __version__,
        "catalogtool_run_id": info.run_id,
        "catalogtool_model_id": info.context.model_id,
        "catalogtool_calibration": info.calibration,
        "catalogtool_survey": info.survey.name,
        "catalogtool_simulated_pixels": str(info.simulated_pixels).lower(),
        "catalogtool_simulated_training": str(info.simulated_training).lower(),
    }


def render(properties: Properties) -> bytes:
    """Text of a property file; values are kept on one line."""
    lines = ["# HATS"]
    for key, value in properties.items():
        escaped = " ".join(value.split()).replace("\\", "\\\\")
        lines.append(f"{key}={escaped}")
    return ("\n".join(lines) + "\n").encode()


def parse(data: bytes) -> Properties:
    """Values of a property file by key."""
    lines = data.decode("utf-8", "replace").splitlines()
    pairs = (line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))
    found = (pair for pair in pairs if len(pair) == 2)
    return {key.strip(): value.strip().replace("\\\\", "\\") for key, value in found}
