"""Catalogs that the tests of this folder share, assembled once."""

import pytest
from quality_samples import CatalogSection, make_section


@pytest.fixture(scope="session")
def long_section(tmp_path_factory: pytest.TempPathFactory) -> CatalogSection:
    return make_section(tmp_path_factory.mktemp("long"), "morphology")


@pytest.fixture(scope="session")
def wide_section(tmp_path_factory: pytest.TempPathFactory) -> CatalogSection:
    return make_section(tmp_path_factory.mktemp("wide"), "morphology_wide", width_deg=300)
