"""A small survey of made-up cutouts that training tests share."""

import pytest

from catalogtool.config._base import build_settings
from catalogtool.config.training import DomainData, TrainingSpec
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import TrainingOptions

BAND = {
    "pivot_wavelength": "1.5 micron",
    "zeropoint": "26 mag",
    "psf_fwhm": "0.15 arcsec",
    "depth": "27 mag",
}


@pytest.fixture
def survey() -> Survey:
    """Two bands that are labelled one by one, three classes, cutouts of 16 pixels."""
    values = {
        "name": "made_up",
        "title": "Made up",
        "description": "Blobs",
        "reference": "none",
        "pixel_scale": "0.1 arcsec",
        "cutout_size_pix": 16,
        "bands": [{"name": "blue", **BAND}, {"name": "red", **BAND}],
        "labels": {
            "classes": ["round", "long", "empty"],
            "kind": "votes",
            "per_band": True,
            "columns": ["round", "long", "empty"],
        },
        "input": {"format": "blobs"},
        "recipes": [
            {
                "kinds": ["morphology"],
                "network": "resnet",
                "method": "source_only",
                "source_survey": "made_up",
                "stretch": "minmax",
            }
        ],
    }
    return build_settings(Survey, values, where="made_up")


@pytest.fixture
def spec(survey: Survey) -> TrainingSpec:
    """A short training of a small network on that survey."""
    domain = DomainData(
        survey=survey,
        input_format="blobs",
        input_uri=None,
        labels_uri=None,
        manifest_uri="manifest.parquet",
        manifest_identity="0",
    )
    return TrainingSpec(
        network="resnet",
        network_options={"widths": [4, 8], "blocks": [1, 1]},
        method="source_only",
        classes=survey.labels.classes,
        label_kind="votes",
        channels=1,
        size_pix=16,
        stretch="minmax",
        training=TrainingOptions(batch_size=8, max_epochs=4, validation_share=0.25),
        test_share=0.4,
        label_count=None,
        shots=None,
        seed=7,
        source=domain,
        target=None,
        starts_from=None,
    )
