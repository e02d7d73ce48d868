"""From a finished run to its vetting page, by simulated surveys and made-up predictions."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from s3_server import s3_client
from typer.testing import CliRunner

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.cli.main import app
from catalogtool.config._base import canonical_json
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError, DataError, ReleaseError
from catalogtool.flags import Flag
from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import Format
from catalogtool.inputs.manifest import Manifest, build_manifest
from catalogtool.layout import RunLayout
from catalogtool.production import _gathering
from catalogtool.production.candidates import Choice, choose_candidates
from catalogtool.production.record import RunRecord
from catalogtool.production.vetting import write_vetting
from catalogtool.progress import Progress
from catalogtool.quality._sprites import scale_cutouts
from catalogtool.release._run_facts import find_run
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey

SURVEYS = Path(__file__).parents[2] / "catalogtool" / "surveys"
COUNT = 36
UNIT = 8
FLAGGED = 3
DEFAULT = Choice()


@dataclass(frozen=True)
class Finished:
    """A committed run, and what it was made from."""

    run: RunLayout
    survey: Survey
    source: Format
    manifest: Manifest
    kind: str

    @property
    def rows(self) -> pa.Table:
        """All rows of its parts."""
        parts = [self.run.part(self.kind, unit) for unit in range(self.manifest.units)]
        return pa.concat_tables(pq.read_table(part) for part in parts)

    def choose(self, choice: Choice = DEFAULT) -> pa.Table:
        return choose_candidates(self.run, self.manifest, self.kind, self.survey, choice)

    def write(self, output: Path, choice: Choice = DEFAULT) -> None:
        write_vetting(find_run(self.run.uri, None), choice, str(output), Progress())


def rows_of(page: Path) -> dict[str, Any]:
    """Columns of a page's rows."""
    (file,) = page.glob("data-*/rows-00000.js")
    found = re.fullmatch(r"vetting\.rows\(0,(.*)\);\n", file.read_text())
    assert found is not None
    values: dict[str, Any] = json.loads(found[1])
    return values


def finished_run(folder: Path, name: str) -> Finished:
    """A run over a small copy of a simulated survey, three of whose objects have no prediction."""
    text = (SURVEYS / f"{name}.toml").read_text()
    file = folder / f"{name}.toml"
    file.write_text(re.sub(r"(?m)^candidates = .*", f"candidates = {COUNT}", text))
    survey = load_survey(str(file))
    source = open_input_format(survey, None)
    manifest = build_manifest(source, str(folder / "manifests"), UNIT)
    run, kind = RunLayout(str(folder / "run")), survey.recipes[0].kinds[0]
    rng = np.random.default_rng(3)
    classes = survey.labels.classes
    context = CatalogContext(
        classes=classes, bands=survey.band_names, per_band=False, model_id="model"
    )
    for unit, rows in enumerate(manifest.iter_units()):
        p = rng.dirichlet(np.ones(len(classes)), (rows.num_rows, 1)).astype(np.float32)
        flags = np.zeros((rows.num_rows, 1), dtype=np.int32)
        if unit == 1:
            p[:FLAGGED], flags[:FLAGGED] = np.nan, Flag.UNREADABLE
        facts = source.read(rows).facts
        table = load_kind(kind).finalize(context, rows, Predictions(p, flags, facts))
        part = Path(run.part(kind, unit))
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, part)
    record = RunRecord(
        run_id="0123456789ab",
        created="2026-11-27T06:00:00+00:00",
        code_version="0",
        config=RunConfig(survey=str(file), output=str(folder)),
        survey=survey.name,
        kinds=(kind,),
        models={kind: "model"},
        model_uri="",
        manifest_uri=manifest.uri,
        manifest_identity=manifest.identity,
        objects=manifest.objects,
        units=manifest.units,
        threads=1,
        simulated_cutouts=True,
        simulated_training=False,
    )
    Path(run.record).write_text(canonical_json(record.to_json()))
    Path(run.commit).write_text(json.dumps({"catalogs": {kind: ""}}))
    return Finished(run, survey, source, manifest, kind)


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_run(tmp_path_factory.mktemp("alerts"), "mock_alerts")


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return finished_run(tmp_path_factory.mktemp("differences"), "mock_ztf")


@pytest.fixture(scope="module")
def page(alerts: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the alerts, read a few at a time."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_gathering, "_CHUNK_OBJECTS", 7)
        alerts.write(folder)
    return folder


@pytest.fixture(scope="module")
def told(alerts: Finished) -> pa.Table:
    """Manifest rows of all alerts."""
    return pa.concat_tables(alerts.manifest.iter_units())


def rename(finished: Finished, names: dict[int, str], folder: Path) -> Finished:
    """The same run where some alerts, by their place, are of other objects."""
    run = RunLayout(str(folder))
    place = 0
    for unit in range(finished.manifest.units):
        rows = pq.read_table(finished.run.part(finished.kind, unit))
        old = rows.column("source_id").to_pylist()
        new = [names.get(place + k, name) for k, name in enumerate(old)]
        place += len(old)
        at = rows.schema.get_field_index("source_id")
        rows = rows.set_column(at, rows.schema.field(at), pa.array(new, pa.string()))
        part = Path(run.part(finished.kind, unit))
        part.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, part)
    return Finished(run, finished.survey, finished.source, finished.manifest, finished.kind)


def best_first(finished: Finished, column: str) -> list[dict[str, Any]]:
    rows = [row for row in finished.rows.to_pylist() if row[column] is not None]
    return sorted(rows, key=lambda row: (-row[column], row["object_id"]))


def test_supernovae_rank_alerts_unless_another_class_is_asked_for(alerts: Finished) -> None:
    for choice, column in ((DEFAULT, "p_sn"), (Choice("agn"), "p_agn")):
        chosen = alerts.choose(choice)
        expected = [row["object_id"] for row in best_first(alerts, column)]
        assert chosen.column("object_id").to_pylist() == expected
        assert len(expected) == COUNT - FLAGGED


def test_without_such_a_class_the_most_probable_one_counts(differences: Finished) -> None:
    expected = [row["object_id"] for row in best_first(differences, "confidence")]
    assert differences.choose().column("object_id").to_pylist() == expected


@pytest.mark.parametrize("limit", [1, 2, 5, 20, 1000])
def test_a_limit_keeps_the_best(alerts: Finished, limit: int) -> None:
    expected = [row["object_id"] for row in best_first(alerts, "p_sn")][:limit]
    assert alerts.choose(Choice(limit=limit)).column("object_id").to_pylist() == expected


def test_a_least_score_leaves_the_others_out(alerts: Finished) -> None:
    scores = alerts.choose(Choice(min_score=0.25)).column("score").to_pylist()
    assert min(scores) >= 0.25
    assert len(scores) == sum(row["p_sn"] >= 0.25 for row in best_first(alerts, "p_sn"))


@pytest.mark.parametrize("limit", [3, 40])
def test_an_object_is_shown_once_by_its_best_alert(
    alerts: Finished, tmp_path: Path, limit: int
) -> None:
    run = rename(alerts, {2: "again", 17: "again", 30: "again", 45: "again"}, tmp_path)
    expected: dict[str, int] = {}
    for row in best_first(run, "p_sn"):
        expected.setdefault(row["source_id"], row["object_id"])
    ids = run.choose(Choice(limit=limit)).column("object_id").to_pylist()
    assert ids == list(expected.values())[:limit]


def test_the_page_shows_what_catalog_and_packets_tell(
    alerts: Finished, page: Path, told: pa.Table
) -> None:
    values = rows_of(page)
    rows = {str(row["object_id"]): row for row in alerts.rows.to_pylist()}
    ids = map(str, told.column("object_id").to_pylist())
    packets = alerts.source.read(told).facts
    assert packets is not None
    facts = dict(zip(ids, packets.to_pylist(), strict=True))
    assert len(values["object_id"]) == COUNT - FLAGGED
    for place, name in enumerate(values["object_id"]):
        row, fact = rows[name], facts[name]
        assert values["source_id"][place] == row["source_id"]
        assert values["score"][place] == pytest.approx(row["p_sn"], abs=1e-4)
        assert values["real_bogus"][place] == pytest.approx(1 - row["p_bogus"], abs=1e-4)
        assert values["magnitude_ab"][place] == pytest.approx(row["magnitude_ab"], abs=1e-3)
        assert values["night"][place] == row["night"]
        assert values["detections"][place] == fact["detections"]
        assert values["is_positive"][place] == fact["is_positive"]
        nearest = fact["distpsnr1"]
        assert values["neighbour_arcsec"][place] == (nearest and pytest.approx(nearest, abs=1e-4))


def test_the_age_counts_from_the_first_detection(
    alerts: Finished, page: Path, told: pa.Table
) -> None:
    values = rows_of(page)
    first: dict[str, float] = {}
    for point in alerts.source.read_history(told).to_pylist():  # type: ignore[attr-defined]
        if point["magnitude_ab"] is not None:
            name = str(point["object_id"])
            first[name] = min(point["mjd"], first.get(name, np.inf))
    assert max(values["age_days"]) > 1
    columns = (values[name] for name in ("object_id", "observed_mjd", "age_days"))
    for name, mjd, age in zip(*columns, strict=True):
        assert age == pytest.approx(mjd - first[name], abs=1e-3)


def test_cutouts_stand_with_their_candidates_and_upright(
    alerts: Finished, page: Path, told: pa.Table
) -> None:
    values = rows_of(page)
    ids = told.column("object_id").to_pylist()
    (sheet,) = page.glob("data-*/cutouts-00000.png")
    pixels = np.asarray(Image.open(sheet))
    for slot in (0, 1, 17, 31):
        index = ids.index(int(values["object_id"][slot]))
        cutouts = alerts.source.read(told.slice(index, 1))
        tones = scale_cutouts(cutouts.images, cutouts.mask)[0, 2]
        top, left = slot // 4 * 63, (slot % 4 * 3 + 2) * 63
        np.testing.assert_array_equal(pixels[top : top + 63, left : left + 63], tones[::-1])


def test_a_page_is_made_of_difference_images_too(differences: Finished, tmp_path: Path) -> None:
    differences.write(tmp_path, Choice("real"))
    values = rows_of(tmp_path)
    assert len(values["object_id"]) == COUNT - FLAGGED
    assert "age_days" not in values
    assert "band" not in values
    page = (tmp_path / "index.html").read_text()
    assert "The cutouts are simulated" in page
    assert '"classes":["bogus","real"]' in page


def test_the_page_of_a_run_lies_in_the_run_and_is_made_again(differences: Finished) -> None:
    words = ["vet", differences.run.uri, "--class", "real", "--limit", "20", "--json"]
    for _ in range(2):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        page = json.loads(result.stdout)
        assert page["uri"] == f"{differences.run.uri}/vetting/real/index.html"
        assert page["candidates"] == 20
        files = [f for f in Path(page["uri"]).parent.rglob("*") if f.is_file()]
        assert len(files) == page["files"]
        assert sum(file.stat().st_size for file in files) == page["size_bytes"]


@pytest.mark.s3
def test_a_page_on_object_storage_is_served_as_a_page(
    differences: Finished, s3_bucket: str, s3_port: int
) -> None:
    facts, uri = find_run(differences.run.uri, None), f"{s3_bucket}/vetting"
    page = write_vetting(facts, Choice("real", limit=5), uri, Progress())
    names = [info.uri for info in storage.list_files(uri)]
    assert len(names) == page.files == 5
    client, bucket = s3_client(s3_port), s3_bucket.removeprefix("s3://")
    for name in names:
        key = name.removeprefix(f"{s3_bucket}/")
        served = client.head_object(Bucket=bucket, Key=key)["ContentType"].partition(";")[0]
        expected = {"html": "text/html", "js": "text/javascript", "png": "image/png"}
        assert served == expected[name.rpartition(".")[2]]


def test_what_cannot_be_vetted_is_refused_in_words(alerts: Finished, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="no class 'supernova'; --class takes one of agn, asteroid"
    ):
        alerts.choose(Choice("supernova"))
    with pytest.raises(DataError, match=r"no alert row has a p_sn of 1\.0 or more; lower"):
        alerts.choose(Choice(min_score=1.0))
    with pytest.raises(ReleaseError, match="is not a finished run"):
        find_run(str(tmp_path), None)
