"""Catalog kinds, one per file."""

from typing import cast

from catalogtool._discovery import load_module, module_names
from catalogtool.catalogs._base import CatalogKind, SummaryKind


def kind_names() -> tuple[str, ...]:
    """Names of the catalog kinds, sorted."""
    return module_names(__name__)


def load_kind(name: str) -> CatalogKind:
    """A catalog kind by its name.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    """
    return cast("CatalogKind", load_module(__name__, name).CATALOG)


def load_table(name: str) -> CatalogKind | SummaryKind:
    """A catalog kind, or the summary of one, by its name.

    Raises
    ------
    UnknownNameError
        If there is neither.
    """
    for kind in map(load_kind, kind_names()):
        if kind.summary is not None and kind.summary.name == name:
            return kind.summary
    return load_kind(name)
