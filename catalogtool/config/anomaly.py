"""What a user asks of one comparison of anomaly methods."""

from typing import Annotated

from pydantic import Field, PositiveInt

from catalogtool.config._base import Settings


class AnomalyCompareConfig(Settings):
    """The settings of ``catalogtool compare --catalog anomaly``."""

    input: str
    """Table of features, CSV or Parquet; or the folder of a run with embeddings and labels."""
    labels: str | None = None
    """Table with the classes of the objects; None: the table of features has them."""
    output: str
    methods: tuple[str, ...] | None = None
    """Anomaly methods; None: all."""
    seeds: PositiveInt = 5
    """Trials of each; a seed draws the test, weights and batches."""
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of every class that teaches nothing."""
    workers: PositiveInt | None = None
    """Trials at the same time on this machine; None: one per core."""
