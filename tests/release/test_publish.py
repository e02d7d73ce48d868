"""A publishing makes the whole release visible, or nothing."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from publish_samples import NAME, Shape, make_committed_run, publish_run

from catalogtool import storage
from catalogtool.errors import ConfigError, ReleaseError
from catalogtool.layout import OutputLayout, RunLayout
from catalogtool.release._file_list import FileList
from catalogtool.release._run_facts import chosen_kinds, find_run
from catalogtool.release.releases import (
    LatestPointer,
    ReleasesLayout,
    parse_json,
    read_index,
    version_key,
)
from catalogtool.release.verify import verify


@pytest.fixture
def run(tmp_path: Path) -> RunLayout:
    return make_committed_run(tmp_path / "output", Shape(objects=60, rows_per_partition=40))


@pytest.fixture
def releases(tmp_path: Path) -> str:
    return str(tmp_path / "releases")


def contents(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def latest(releases: str) -> str:
    where = ReleasesLayout(releases).latest(NAME)
    return parse_json(LatestPointer, storage.read_bytes(where), where).version


def visible(releases: str) -> list[Path]:
    return list(Path(releases).rglob("release.json"))


def test_a_release_holds_the_catalog_byte_for_byte_and_verifies(
    run: RunLayout, releases: str
) -> None:
    done = publish_run(run, releases)
    assert contents(done.collection_uri) == contents(run.catalog("toy", "morphology"))
    report = verify(done.collection_uri)
    assert report.passed, report.failures
    assert done.record.rows == 120
    assert not done.was_there


def test_the_manifest_tells_size_hash_rows_and_pixel_of_every_file(
    run: RunLayout, releases: str
) -> None:
    done = publish_run(run, releases)
    data = (Path(done.uri) / "manifest.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == done.record.manifest_sha256
    files = parse_json(FileList, data, "manifest")
    there = contents(done.uri)
    del there["manifest.json"]
    assert {f.path: (f.size_bytes, f.sha256) for f in files.files} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in there.items()
    }
    for file in files.partitions:
        assert file.rows == pq.read_metadata(Path(done.uri) / file.path).num_rows
        assert file.path.endswith(f"Npix={file.pixel}.parquet")
        assert f"Norder={file.order}/" in file.path
    assert sum(file.rows or 0 for file in files.partitions) == done.record.rows


def test_card_citation_and_licence_are_there_and_say_that_data_are_simulated(
    run: RunLayout, releases: str
) -> None:
    done = publish_run(
        run,
        releases,
        title='A "quoted": title',
        authors=[{"name": "Doe, Jane", "orcid": "0000-0002-1825-0097"}],
        licence="CC0-1.0",
    )
    folder = Path(done.uri)
    readme = (folder / "README.md").read_text()
    head = yaml.safe_load(readme.split("---")[1])
    assert head["license"] == "cc0-1.0"
    assert "simulated" in head["tags"]
    assert "cutouts of this catalog are simulated" in readme
    citation = yaml.safe_load((folder / "CITATION.cff").read_text())
    assert citation["title"] == 'A "quoted": title'
    assert citation["authors"][0]["orcid"] == "https://orcid.org/0000-0002-1825-0097"
    assert citation["type"] == "dataset"
    card = json.loads((folder / "card.json").read_text())
    units = {v["name"]: v.get("unitText") for v in card["variableMeasured"]}
    assert units["ra"] == "deg"
    assert "simulated" in card["description"]
    assert "SPDX-License-Identifier: CC0-1.0" in (folder / "LICENSE.txt").read_text()


def test_provenance_identifies_inputs_model_and_code(run: RunLayout, releases: str) -> None:
    folder = Path(publish_run(run, releases).uri)
    facts = json.loads((folder / "provenance.json").read_text())
    record = json.loads(Path(run.record).read_text())
    assert facts["inputs"]["manifest_identity"] == record["manifest_identity"]
    assert facts["model"]["model_id"] == "net-1"
    assert facts["model"]["metrics"] == {"accuracy": 0.5}
    assert len(facts["model"]["training_identity"]) == 64
    assert facts["code_version"] == "0.0"
    inputs = pq.read_table(folder / "inputs.parquet")
    assert inputs.num_rows == 60
    assert "votes" not in inputs.column_names


def test_publishing_the_same_again_is_a_success_that_changes_nothing(
    run: RunLayout, releases: str
) -> None:
    publish_run(run, releases)
    before = contents(releases)
    again = publish_run(run, releases)
    assert again.was_there
    assert contents(releases) == before


def test_other_content_under_a_published_version_is_refused(run: RunLayout, releases: str) -> None:
    publish_run(run, releases)
    before = contents(releases)
    with pytest.raises(ReleaseError, match=r"2026\.1: is published with other content"):
        publish_run(run, releases, licence="CC0-1.0")
    assert contents(releases) == before


def test_latest_moves_forward_only_unless_said(run: RunLayout, releases: str) -> None:
    for version, expected in (("2026.9", "2026.9"), ("2026.10", "2026.10"), ("2026.2", "2026.10")):
        publish_run(run, releases, version)
        assert latest(releases) == expected
    publish_run(run, releases, "2026.2", back=True)
    assert latest(releases) == "2026.2"
    names = [r.version for r in read_index(ReleasesLayout(releases)).releases]
    assert names == ["2026.2", "2026.9", "2026.10"]


def test_versions_are_ordered_by_their_numbers() -> None:
    ordered = ["dr2", "2025.12", "2026.1", "2026.1.1", "2026.9", "2026.10"]
    shuffled = [*ordered[3:], *ordered[:3]]
    assert sorted(shuffled, key=version_key) == ordered


@pytest.mark.parametrize("version", ["", "../x", "a/b", ".hidden", "2026 1", "v" * 65, "a\\b"])
def test_a_version_that_cannot_be_part_of_an_address_is_refused(
    run: RunLayout, releases: str, version: str
) -> None:
    with pytest.raises(ConfigError, match="expected letters, digits and dots"):
        publish_run(run, releases, version)
    assert not Path(releases).exists()


def test_an_unfinished_run_is_refused(run: RunLayout, releases: str) -> None:
    Path(run.commit).unlink()
    with pytest.raises(ReleaseError, match="is not a finished run"):
        publish_run(run, releases)


def test_the_newest_run_of_a_survey_is_found_by_the_output_folder(
    run: RunLayout, tmp_path: Path
) -> None:
    assert find_run(str(tmp_path / "output"), "toy").run == run
    with pytest.raises(ReleaseError, match="has no finished run over all objects of other"):
        find_run(str(tmp_path / "output"), "other")
    with pytest.raises(ConfigError, match="has no catalog 'redshift'; it has: morphology"):
        chosen_kinds(find_run(run.uri, None), "redshift")


def damage_partition(catalog: Path) -> Path:
    victim = next(p for p in sorted(catalog.rglob("Npix=*.parquet")))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    return victim


def add_a_hash(catalog: Path) -> Path:
    manifest = catalog / "MANIFEST.sha256"
    manifest.write_bytes(manifest.read_bytes() + b"0  x\n")
    return manifest


def remove_partition(catalog: Path) -> Path:
    victim = next(p for p in sorted(catalog.rglob("Npix=*.parquet")))
    victim.unlink()
    return victim


@pytest.mark.parametrize("damage", [damage_partition, add_a_hash, remove_partition])
def test_a_catalog_that_is_not_the_verified_one_is_refused_by_file(
    run: RunLayout, releases: str, damage: Callable[[Path], Path]
) -> None:
    victim = damage(Path(run.catalog("toy", "morphology")))
    with pytest.raises(ReleaseError, match=victim.name):
        publish_run(run, releases)
    assert visible(releases) == []


def test_files_of_a_dead_attempt_are_reused_if_their_hash_fits(
    run: RunLayout, releases: str
) -> None:
    done = publish_run(run, releases)
    (Path(releases) / NAME / "2026.1" / "release.json").unlink()  # as if killed before
    victim = damage_partition(Path(done.uri))
    again = publish_run(run, releases)
    assert not again.was_there
    files = len(contents(run.catalog("toy", "morphology")))
    assert again.reused == files - 1
    assert verify(again.collection_uri).passed
    assert victim.exists()


def test_attempts_with_other_content_are_never_mixed_and_go(run: RunLayout, releases: str) -> None:
    dead = publish_run(run, releases, licence="CC0-1.0")
    (Path(releases) / NAME / "2026.1" / "release.json").unlink()
    done = publish_run(run, releases)
    assert done.uri != dead.uri
    assert done.reused == 0
    assert contents(dead.uri) == {}


def test_of_several_publishers_one_wins_and_its_release_is_whole(
    run: RunLayout, releases: str
) -> None:
    licences = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0")

    def attempt(licence: str) -> bool:
        try:
            publish_run(run, releases, licence=licence)
        except ReleaseError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = {name for name, ok in zip(licences, pool.map(attempt, licences), strict=True) if ok}
    assert len(won) == 1
    (record,) = read_index(ReleasesLayout(releases)).releases
    assert record.licence in won
    assert verify(f"{ReleasesLayout(releases).folder(record)}/toy_morphology").passed


def test_the_header_of_every_published_file_keeps_its_units(run: RunLayout, releases: str) -> None:
    done = publish_run(run, releases)
    file = next(Path(done.collection_uri).rglob("Npix=*.parquet"))
    content = pq.read_schema(file).metadata[b"IVOA.VOTable-Parquet.content"]
    assert b'unit="deg"' in content


def test_a_model_that_is_gone_is_an_error_that_says_so(run: RunLayout, releases: str) -> None:
    record = json.loads(Path(run.record).read_text())
    model = Path(OutputLayout(str(Path(run.uri).parents[1])).model("ab" * 32)) / "run.json"
    assert Path(record["model_uri"]) == model.parent
    model.unlink()
    with pytest.raises(ReleaseError, match="the model of the run cannot be described"):
        publish_run(run, releases)
