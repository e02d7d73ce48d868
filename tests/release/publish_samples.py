"""A committed run with a small catalog, ready to be published; made from random predictions."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from release_samples import CLASSES, CREATED, make_info, manifest_rows, sky_positions, write_parts

from catalogtool.config.training import TrainingSpec
from catalogtool.layout import OutputLayout, RunLayout
from catalogtool.progress import Progress
from catalogtool.release._documents import ReleaseCard
from catalogtool.release._run_facts import find_run
from catalogtool.release.assemble import assemble
from catalogtool.release.publish import Order, Publication, publish
from catalogtool.release.releases import ReleasesLayout
from catalogtool.surveys._recipe import TrainingOptions

NAME = "toy-morphology"
RUN_ID = "0123456789ab"


@dataclass(frozen=True)
class Shape:
    """How large the catalog is."""

    objects: int = 600
    rows_per_partition: int = 150
    seed: int = 0


def make_committed_run(output: Path, shape: Shape | None = None) -> RunLayout:
    """A run folder as a production leaves it, with a catalog over the whole sky."""
    shape = shape or Shape()
    layout = OutputLayout(str(output))
    run = layout.run(RUN_ID)
    positions = sky_positions(shape.objects, shape.seed)
    units = write_parts(run, "morphology", positions)
    info = make_info(shape.rows_per_partition)
    catalog = assemble(run, "morphology", units, info, run.catalog("toy", "morphology"))
    manifest = Path(layout.manifests) / "toy-0123.parquet"
    manifest.parent.mkdir(parents=True)
    pq.write_table(manifest_rows(positions, 0), manifest)
    model = Path(layout.model("ab" * 32))
    model.mkdir(parents=True)
    (model / "run.json").write_text(json.dumps(_model_record()))
    record = {
        "run_id": RUN_ID,
        "created": CREATED.isoformat(),
        "code_version": "0.0",
        "survey": "toy",
        "objects": shape.objects,
        "model_uri": str(model),
        "manifest_uri": str(manifest),
        "manifest_identity": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "simulated_cutouts": True,
        "simulated_training": False,
    }
    Path(run.record).write_text(json.dumps(record))
    commit = {"run_id": RUN_ID, "catalogs": {"morphology": catalog.manifest_sha256}}
    Path(run.commit).write_text(json.dumps(commit))
    latest = Path(layout.latest("toy"))
    latest.parent.mkdir()
    latest.write_text(json.dumps({"run": run.uri, "created": CREATED.isoformat()}))
    return run


def _model_record() -> dict[str, object]:
    spec = TrainingSpec(
        network="resnet",
        network_options={},
        method="source_only",
        classes=CLASSES,
        label_kind="votes",
        channels=1,
        size_pix=8,
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
    return {
        "model_id": "net-1",
        "weights_sha256": "0" * 64,
        "spec": spec.to_json(),
        "metrics": {"accuracy": 0.5},
    }


def publish_run(
    run: RunLayout, releases: str, version: str = "2026.1", **changes: object
) -> Publication:
    """Publish the run's catalog; `changes` are those of the card, and ``back``."""
    back = bool(changes.pop("back", False))
    card = ReleaseCard.model_validate(changes)
    order = Order(ReleasesLayout(releases), version, card, back=back)
    return publish(find_run(run.uri, None), "morphology", order, Progress())
