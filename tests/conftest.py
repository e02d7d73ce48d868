"""Fixtures that many tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def data_folder() -> Path:
    """Folder of real data, named by CATALOGTOOL_DATA."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CATALOGTOOL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist; set CATALOGTOOL_DATA")
    return folder
