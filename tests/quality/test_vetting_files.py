import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from vetting_samples import CLASSES, Sample, make_history, make_sample

from catalogtool.quality._tns import tns_codes
from catalogtool.quality.vetting import detail_text

COUNT = 300
FOLDER = "data-0123456789ab"
EVIL = "</script><script>alert(1)</script><!-- & \u2028"


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample(COUNT, size_pix=63)


@pytest.fixture(scope="module")
def files(sample: Sample) -> dict[str, bytes]:
    return dict(sample.files())


def argument(data: bytes, function: str) -> tuple[int, object]:
    """What a script hands over: a number, and a value."""
    found = re.fullmatch(rf"vetting\.{function}\((\d+),(.*)\);\n", data.decode())
    assert found is not None
    return int(found[1]), json.loads(found[2])


def rename(sample: Sample, name: str) -> Sample:
    rows = sample.content.candidates
    names = [name, *rows.column("source_id").to_pylist()[1:]]
    rows = rows.set_column(1, rows.schema.field(1), pa.array(names))
    return replace(sample, content=replace(sample.content, candidates=rows, title=name))


class _Scripts(HTMLParser):
    """Counts scripts, and keeps the text of the first heading."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.heading = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.scripts += tag == "script"
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "h1":
            self.heading += data

    def handle_endtag(self, tag: str) -> None:
        del tag
        self._inside = ""


def test_the_page_comes_last_and_beside_it_only_its_data(files: dict[str, bytes]) -> None:
    names = list(files)
    assert names[-1] == "index.html"
    kinds = ["thumbnails", "cutouts", "details", "rows"]
    for kind, count in zip(kinds, (2, 10, 10, 1), strict=True):
        assert sum(name.startswith(f"{FOLDER}/{kind}-") for name in names) == count
    assert len(names) == 24


def test_the_page_loads_nothing_by_its_markup(files: dict[str, bytes]) -> None:
    page = files["index.html"].decode()
    assert re.findall(r'<[^>]*\b(?:src|href)="(?!data:,)[^"]*"', page.partition("<script")[0]) == []
    assert "@import" not in page
    assert "fetch(" not in page


def test_rows_carry_the_numbers_of_the_candidates(sample: Sample, files: dict[str, bytes]) -> None:
    start, values = argument(files[f"{FOLDER}/rows-00000.js"], "rows")
    rows = sample.content.candidates
    assert start == 0
    assert isinstance(values, dict)
    # A browser's numbers end at 2**53.
    assert values["object_id"] == [str(one) for one in rows.column("object_id").to_pylist()]
    for name, close in (("ra", 5e-7), ("observed_mjd", 5e-6), ("score", 5e-5)):
        np.testing.assert_allclose(values[name], rows.column(name).to_numpy(), atol=close, rtol=0)
    unknown = [value is None for value in values["neighbour_arcsec"]]
    assert unknown == rows.column("neighbour_arcsec").is_null().to_pylist()
    assert set(values["flags"]) == {"", "partly_masked"}
    assert len(values["probabilities"][0]) == len(CLASSES)


def test_many_candidates_come_in_several_files_of_rows() -> None:
    files = dict(make_sample(4100, size_pix=15).files())
    parts = [argument(data, "rows") for name, data in files.items() if "/rows-" in name]
    assert [start for start, _ in parts] == [0, 2000, 4000]
    assert [len(values["object_id"]) for _, values in parts] == [2000, 2000, 100]


def test_columns_without_values_are_left_out(sample: Sample) -> None:
    rows = sample.content.candidates
    at = rows.schema.get_field_index("real_bogus")
    rows = rows.set_column(at, rows.schema.field(at), pa.nulls(COUNT, pa.float32()))
    changed = replace(sample, content=replace(sample.content, candidates=rows))
    _, values = argument(dict(changed.files())[f"{FOLDER}/rows-00000.js"], "rows")
    assert "real_bogus" not in values


def test_cutouts_are_where_the_page_looks_for_them(sample: Sample, files: dict[str, bytes]) -> None:
    tones, _ = sample.read(0, COUNT)
    for candidate in (0, 31, 32, 299):
        slot = candidate % 32
        file = files[f"{FOLDER}/cutouts-{candidate // 32:05d}.png"]
        pixels = np.asarray(Image.open(io.BytesIO(file)))
        top, left = slot // 4 * 63, slot % 4 * 3 * 63
        part = pixels[top : top + 63, left + 2 * 63 : left + 3 * 63]
        np.testing.assert_array_equal(part, tones[candidate, 2])
    thumbnails = Image.open(io.BytesIO(files[f"{FOLDER}/thumbnails-00001.png"]))
    assert thumbnails.size == (16 * 3 * 32, 3 * 32)  # 44 candidates


def test_details_carry_the_light_curve_in_time(sample: Sample, files: dict[str, bytes]) -> None:
    number, values = argument(files[f"{FOLDER}/details-00001.js"], "details")
    assert number == 1
    assert isinstance(values, list)
    candidate = sample.content.candidates.slice(35, 1).to_pylist()[0]
    expected = make_history(candidate, 35).sort_by("mjd")
    history = values[3]["history"]
    for name in ("mjd", "magnitude_ab", "limit_mag_ab"):
        wanted = expected.column(name).to_numpy()
        np.testing.assert_allclose(np.array(history[name], float), wanted, atol=1e-3, rtol=0)
    assert values[3]["facts"] == {"distnr": 1.25, "chinr": 0.7}


def test_what_is_not_finite_is_unknown() -> None:
    facts = {"nan": float("nan"), "inf": float("inf"), "one": 1}
    assert json.loads(detail_text(None, facts)) == {"facts": {"nan": None, "inf": None, "one": 1}}


def test_names_from_outside_cannot_leave_their_place(sample: Sample) -> None:
    files = dict(rename(sample, EVIL).files())
    page = files["index.html"].decode()
    parser = _Scripts()
    parser.feed(page)
    assert parser.scripts == 2
    assert parser.heading == EVIL
    rows = files[f"{FOLDER}/rows-00000.js"].decode()
    assert rows.isascii()
    assert not set("<>&") & set(rows)
    assert argument(rows.encode(), "rows")[1]["source_id"][0] == EVIL
    text = detail_text(None, {EVIL: EVIL})
    assert not set("<>&") & set(text)
    assert json.loads(text)["facts"] == {EVIL: EVIL}


def test_the_numbers_of_tns_are_known_for_surveys_of_alerts_alone() -> None:
    codes = tns_codes("ztf")
    assert codes is not None
    assert codes["filters"]["r"] == "111"
    assert tns_codes("mock_ztf") is None
