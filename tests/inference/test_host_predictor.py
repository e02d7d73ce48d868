"""A model of hosts from simulated scenes to rows of the catalog."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext
from catalogtool.errors import LabelError, ModelError
from catalogtool.flags import Flag
from catalogtool.inference.host_fields import FieldStore
from catalogtool.inference.hosts import HostPredictor
from catalogtool.inference.unit import UnitTask, UnitWorker
from catalogtool.inputs import load_format
from catalogtool.inputs._base import Cutouts
from catalogtool.production.domains import DomainInput, open_domain
from catalogtool.surveys import load_survey
from catalogtool.training.hosts import HostModel, HostSpec, load_host_model, train_hosts

SCENES = 90


def scenes(folder: Path, count: int = SCENES) -> DomainInput:
    survey = load_survey("mock_hosts")
    return open_domain(survey, f"simulated_hosts:{count}", None, str(folder), None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> HostModel:
    folder = tmp_path_factory.mktemp("hosts")
    spec = HostSpec(source=scenes(folder).to_data(), band=0, scenes=SCENES, epochs=2)
    return train_hosts(spec, str(folder / "model"))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, Cutouts]:
    domain = scenes(tmp_path_factory.mktemp("seen"), 12)
    rows = domain.manifest.read_unit(0)
    return rows, load_format("simulated_hosts")(domain.survey, "simulated_hosts:12").read(rows)


def catalog(model: HostModel, rows: pa.Table, cutouts: Cutouts) -> pa.Table:
    predictor = HostPredictor(model, 0, 0.25, threads=1)
    context = CatalogContext.of(load_survey("mock_hosts"), model.model_id)
    found = predictor.find(predictor.describe(cutouts, rows), rows)
    return load_kind("host").finalize(context, rows, found)


def test_a_stored_model_says_the_same_and_a_damaged_one_nothing(
    model: HostModel, seen: tuple[pa.Table, Cutouts], tmp_path: Path
) -> None:
    import shutil

    assert catalog(load_host_model(model.uri), *seen).equals(catalog(model, *seen))
    folder = Path(shutil.copytree(model.uri, tmp_path / "model"))
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"oops")
    with pytest.raises(ModelError, match="damaged model of hosts"):
        load_host_model(str(folder))
    with pytest.raises(ModelError, match="holds no model of hosts"):
        load_host_model(str(tmp_path / "nowhere"))


def test_most_hosts_are_found_where_they_are(
    model: HostModel, seen: tuple[pa.Table, Cutouts]
) -> None:
    rows, cutouts = seen
    found = catalog(model, rows, cutouts).to_pylist()
    assert cutouts.facts is not None
    errors = []
    for row, fact in zip(found, cutouts.facts.to_pylist(), strict=True):
        total = row["host_probability"] + row["hostless_probability"] + row["second_probability"]
        assert total <= 1 + 1e-5
        if fact["is_hostless"]:
            continue
        east = (row["host_ra"] - fact["host_ra"]) * np.cos(np.radians(fact["host_dec"]))
        errors.append(3600 * np.hypot(east, row["host_dec"] - fact["host_dec"]))
    assert np.median(errors) < 1.5


def test_offset_separation_and_position_agree(
    model: HostModel, seen: tuple[pa.Table, Cutouts]
) -> None:
    for row in catalog(model, *seen).to_pylist():
        east, north = row["offset_east_arcsec"], row["offset_north_arcsec"]
        assert row["separation_arcsec"] == pytest.approx(np.hypot(east, north), rel=1e-5)
        angle = np.degrees(np.arctan2(east, north)) % 360
        assert row["position_angle_deg"] == pytest.approx(angle, abs=1e-3)
        assert 3600 * (row["host_dec"] - row["dec"]) == pytest.approx(north, abs=0.05)


def test_a_result_does_not_depend_on_the_company(
    model: HostModel, seen: tuple[pa.Table, Cutouts]
) -> None:
    rows, cutouts = seen
    alone = Cutouts(cutouts.images[3:4], cutouts.mask[3:4], cutouts.flags[3:4])
    assert catalog(model, rows.slice(3, 1), alone).equals(catalog(model, rows, cutouts).slice(3, 1))


def test_kept_fields_are_as_good_as_pixels_and_small(
    model: HostModel, seen: tuple[pa.Table, Cutouts], tmp_path: Path
) -> None:
    rows, cutouts = seen
    predictor = HostPredictor(model, 0, 0.25, threads=1)
    fields = predictor.describe(cutouts, rows)
    store = FieldStore(str(tmp_path))
    assert store.read(0, rows) is None
    store.write(0, fields)
    kept = store.read(0, rows)
    assert kept is not None
    assert kept.equals(fields)
    assert fields.nbytes / len(fields) < 32_000
    assert predictor.find(kept, rows).findings == predictor.find(fields, rows).findings
    assert store.read(0, rows.slice(1)) is None  # fields of other transients
    file = tmp_path / "unit-00000.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    assert store.read(0, rows) is None


def test_a_second_run_for_hosts_reads_no_pixels_and_writes_the_same(
    model: HostModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = scenes(tmp_path, 9)
    task = UnitTask(
        survey=domain.survey,
        input_format="simulated_hosts",
        input_uri="simulated_hosts:9",
        labels_uri=None,
        manifest=domain.manifest,
        model_uri=None,
        hosts_uri=model.uri,
        kinds=("host",),
        run_uri=str(tmp_path / "one"),
        fields_uri=str(tmp_path / "fields"),
    )
    first = UnitWorker(task).process(0)

    def unreadable(*_: object) -> Cutouts:
        raise AssertionError("pixels were read")

    monkeypatch.setattr(load_format("simulated_hosts"), "read", unreadable)
    second = UnitWorker(replace(task, run_uri=str(tmp_path / "two"))).process(0)
    assert second.parts == first.parts
    with pytest.raises(AssertionError, match="pixels were read"):
        UnitWorker(replace(task, fields_uri=str(tmp_path / "none"))).process(0)


def test_cutouts_without_pixels_signal_or_source_are_flagged_rows(
    model: HostModel, seen: tuple[pa.Table, Cutouts]
) -> None:
    rows, cutouts = seen
    images, mask, flags = cutouts.images.copy(), cutouts.mask.copy(), cutouts.flags.copy()
    images[0], mask[1], images[2] = np.nan, True, 0
    images[3] = np.random.default_rng(0).uniform(0, 1, images[3].shape)
    images[4, :, 240:] = np.nan
    flags[5] = Flag.UNREADABLE
    table = catalog(model, rows, replace(cutouts, images=images, mask=mask, flags=flags))
    assert table.num_rows == rows.num_rows
    found = table.column("flags").to_pylist()
    expected = [
        Flag.NO_VALID_PIXELS,
        Flag.NO_VALID_PIXELS,
        Flag.NO_SIGNAL,
        Flag.NO_SOURCE,
        Flag.PARTLY_MASKED,
        Flag.UNREADABLE,
    ]
    assert found[:6] == expected
    known = table.column("has_prediction").to_pylist()
    assert known[:6] == [False, False, False, False, True, False]
    assert table.column("host_ra").null_count == 5


def test_too_few_known_hosts_are_refused(tmp_path: Path) -> None:
    spec = HostSpec(source=scenes(tmp_path, 20).to_data(), band=0, scenes=20, epochs=1)
    with pytest.raises(LabelError, match="--source-labels"):
        train_hosts(spec, str(tmp_path / "model"))
