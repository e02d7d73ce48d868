"""Catalog kinds, one per file."""

from typing import cast

from catalogtool._discovery import load_module, module_names
from catalogtool.catalogs._base import CatalogKind


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
