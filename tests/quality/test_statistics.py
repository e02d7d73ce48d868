from collections import Counter

import numpy as np
import pyarrow.dataset as pds
import pytest
from quality_samples import FLAGGED, OBJECTS, CatalogSection

from catalogtool.quality._statistics import CatalogStatistics, gather_statistics
from catalogtool.surveys import load_survey

SURVEY = load_survey("clash")
CLASSES, BANDS = SURVEY.labels.classes, SURVEY.band_names


@pytest.fixture
def statistics(long_section: CatalogSection) -> CatalogStatistics:
    return gather_statistics(long_section.uri, CLASSES, BANDS)


def test_counts_are_those_of_a_slow_reader(
    long_section: CatalogSection, statistics: CatalogStatistics
) -> None:
    folder = f"{long_section.uri}/clash_morphology/dataset"
    rows = pds.dataset(folder, format="parquet").to_table().to_pandas()
    expected = Counter(zip(rows["band"], rows["predicted_class"], strict=True))
    assert statistics.bands == BANDS
    for band in BANDS:
        for index, name in enumerate(CLASSES):
            assert statistics.class_counts[band][index] == expected[band, name]
        assert statistics.unpredicted[band] == expected[band, ""]
    relative = rows["entropy"].dropna().to_numpy(float) / np.log(len(CLASSES))
    counts, _ = np.histogram(relative, bins=40, range=(0, 1))
    assert np.abs(statistics.entropy - counts).sum() <= 4  # rounding at the edges of bins


def test_every_row_is_counted_once(statistics: CatalogStatistics) -> None:
    predicted = OBJECTS * len(BANDS) - FLAGGED
    assert statistics.confidence.sum() == statistics.entropy.sum() == predicted
    assert sum(statistics.unpredicted.values()) == FLAGGED


def test_long_and_wide_catalogs_count_the_same(
    statistics: CatalogStatistics, wide_section: CatalogSection
) -> None:
    wide = gather_statistics(wide_section.uri, CLASSES, BANDS)
    assert wide.bands == statistics.bands
    assert wide.unpredicted == statistics.unpredicted
    np.testing.assert_array_equal(wide.confidence, statistics.confidence)
    assert len(wide.positions) == OBJECTS
