"""Runs whose parts were made from random predictions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from release_samples import write_parts

from catalogtool.layout import RunLayout


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., tuple[RunLayout, int]]:
    def make(positions: np.ndarray, kind: str = "morphology") -> tuple[RunLayout, int]:
        run = RunLayout(str(tmp_path / "run"))
        return run, write_parts(run, kind, positions)

    return make
