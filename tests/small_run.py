"""A small real run: survey, image table, manifest and model. Fast to make and to predict."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool.config.training import TrainingSpec
from catalogtool.inference.unit import UnitTask
from catalogtool.inputs import load_format
from catalogtool.inputs.manifest import build_manifest
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import TrainingOptions
from catalogtool.training.model import build_fresh_network, save_model

SMALL_NETWORK = {"widths": (8, 16), "blocks": (1, 1)}


@dataclass(frozen=True)
class RunShape:
    """How large the run is."""

    objects: int = 96
    unit_objects: int = 16
    size_pix: int = 24
    network_options: dict[str, object] | None = None
    per_band: bool = False


def make_survey(shape: RunShape) -> Survey:
    band = {"zeropoint": "22.5 mag", "psf_fwhm": "1.2 arcsec", "depth": "23 mag"}
    pivots = {"z": "0.92 micron", "r": "0.64 micron", "g": "0.48 micron"}
    return Survey.model_validate(
        {
            "name": "small",
            "title": "Small survey",
            "description": "For tests",
            "reference": "none",
            "pixel_scale": "0.3 arcsec",
            "cutout_size_pix": shape.size_pix,
            "bands": [{"name": n, "pivot_wavelength": p, **band} for n, p in pivots.items()],
            "labels": {
                "classes": ("elliptical", "spiral"),
                "kind": "class",
                "per_band": shape.per_band,
                "column": "label",
                "values": {"0": "elliptical", "1": "spiral"},
            },
            "input": {"format": "image_table"},
            "recipes": [
                {
                    "kinds": ("morphology",),
                    "network": "resnet",
                    "method": "source_only",
                    "source_survey": "small",
                    "stretch": "minmax",
                }
            ],
        }
    )


def write_table(path: Path, images: list[object], positions: np.ndarray) -> None:
    """Image table of encoded images or flat numbers; NaN positions become nulls."""
    is_encoded = isinstance(images[0], bytes)
    table = pa.table(
        {
            "object_id": pa.array([f"obj{index:06d}" for index in range(len(images))]),
            "ra": pa.array(positions[:, 0], from_pandas=True),
            "dec": pa.array(positions[:, 1], from_pandas=True),
            "image": pa.array(images, pa.binary() if is_encoded else pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, path, row_group_size=512)


def noisy_images(count: int, size_pix: int, seed: int = 0) -> list[object]:
    """Flat colour images of noise."""
    rng = np.random.default_rng(seed)
    return list(rng.normal(size=(count, 3 * size_pix**2)).astype(np.float32))


def positions_of(count: int) -> np.ndarray:
    index = np.arange(count)
    return np.stack([150 + 0.01 * (index % 100), 2 + 0.01 * (index // 100)], axis=1)


def make_task(folder: Path, survey: Survey, table: Path, shape: RunShape) -> UnitTask:
    """Manifest, model and task over an image table; the run is ``folder/run``."""
    import torch

    source = load_format("image_table")(survey, str(table))
    manifest = build_manifest(source, str(folder / "manifests"), shape.unit_objects)
    spec = TrainingSpec(
        network="resnet",
        network_options=dict(shape.network_options or SMALL_NETWORK),
        method="source_only",
        classes=survey.labels.classes,
        label_kind="class",
        channels=survey.network_channels,
        size_pix=shape.size_pix,
        stretch="minmax",
        training=TrainingOptions(),
        test_share=0.4,
        label_count=None,
        shots=None,
        seed=0,
        source=None,
        target=None,
        starts_from=None,
    )
    torch.manual_seed(0)
    model = save_model(str(folder / "model"), build_fresh_network(spec), spec, {})
    return UnitTask(
        survey=survey,
        input_format="image_table",
        input_uri=str(table),
        labels_uri=None,
        manifest=manifest,
        model_uri=model.uri,
        kinds=("morphology", "morphology_wide"),
        run_uri=str(folder / "run"),
        form="channels_last",
    )


def make_small_run(folder: Path, shape: RunShape | None = None) -> UnitTask:
    """Everything for a run over images of noise."""
    shape = shape or RunShape()
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "images.parquet"
    write_table(table, noisy_images(shape.objects, shape.size_pix), positions_of(shape.objects))
    return make_task(folder, make_survey(shape), table, shape)


def read_parts(task: UnitTask, kind: str = "morphology") -> pa.Table:
    """All rows of a kind, in the order of the units."""
    units = range(task.manifest.units)
    return pa.concat_tables([pq.read_table(task.run.part(kind, unit)) for unit in units])


def part_contents(task: UnitTask) -> dict[str, bytes]:
    """Bytes of all parts by their place in the run folder."""
    folder = Path(task.run.uri)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "parts").rglob("*.parquet"))
    }
