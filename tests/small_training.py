"""Small trainings on a small simulated CLASH: three bands, cutouts of 24 pixels."""

from pathlib import Path

from catalogtool.config.training import DomainData, TrainingSpec
from catalogtool.inputs import load_format
from catalogtool.inputs.manifest import build_manifest
from catalogtool.layout import OutputLayout
from catalogtool.surveys import load_survey
from catalogtool.surveys._recipe import TrainingOptions


def small_domain(folder: Path) -> DomainData:
    survey = load_survey("clash")
    assert survey.simulation is not None
    simulation = survey.simulation.model_copy(update={"objects": 40, "labelled_cutouts": 80})
    changes = {"simulation": simulation, "cutout_size_pix": 24, "bands": survey.bands[5:8]}
    survey = survey.model_copy(update=changes)
    source = load_format("simulated")(survey, None)
    manifest = build_manifest(source, str(folder / "manifests"), 16)
    return DomainData(
        survey=survey,
        input_format="simulated",
        input_uri=None,
        labels_uri=None,
        manifest_uri=manifest.uri,
        manifest_identity=manifest.identity,
    )


def source_spec(domain: DomainData, max_epochs: int = 2) -> TrainingSpec:
    return TrainingSpec(
        network="resnet",
        network_options={"widths": [4, 8], "blocks": [1, 1]},
        method="source_only",
        classes=domain.survey.labels.classes,
        label_kind="votes",
        channels=1,
        size_pix=domain.survey.cutout_size_pix,
        stretch="minmax",
        training=TrainingOptions(batch_size=16, max_epochs=max_epochs),
        test_share=0.4,
        label_count=None,
        shots=None,
        seed=3,
        source=domain,
        target=None,
        starts_from=None,
    )


def target_spec(source: TrainingSpec, label_count: int = 20) -> TrainingSpec:
    """Fine-tuning of that network, on labels of the same survey."""
    changes = {
        "method": "fine_tune",
        "source": None,
        "target": source.source,
        "label_count": label_count,
        "starts_from": source.identity,
    }
    return source.model_copy(update=changes)


def model_uri(folder: Path, spec: TrainingSpec) -> str:
    return OutputLayout(str(folder)).model(spec.identity)


def adapted_spec(source: TrainingSpec, shots: int | None = None) -> TrainingSpec:
    """Minimax entropy from that network, to the same survey: its labels are optional."""
    training = source.training.model_copy(
        update={"domain_norm": True, "unlabelled_limit": 60, "steps_per_epoch": 3}
    )
    changes = {
        "method": "mme",
        "method_options": {"trade_off": 0.2},
        "target": source.source,
        "shots": shots,
        "training": training,
        "starts_from": source.identity,
    }
    return source.model_copy(update=changes)
