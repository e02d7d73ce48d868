import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pages import FLING, chromium, first_paint_s, open_page, wait_for
from vetting_samples import Sample, make_history, make_sample
from web_server import serving

from catalogtool.quality.vetting import detail_text

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

EVIL = '=1+1</script><img src=x onerror="window.hacked=1">,"\''
COUNT = 300
READ_TABLE = """
return [...document.querySelectorAll('#rows .row')].filter(row => !row.hidden)
  .map(row => Number(row.dataset.index));
"""


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def driver(downloads: Path) -> "Iterator[WebDriver]":
    with chromium(downloads) as started:
        yield started


def evil_sample() -> Sample:
    """A small page whose best candidate has a name that tries to be markup and a formula."""
    sample = make_sample(COUNT, size_pix=21)
    rows = sample.content.candidates
    names = [EVIL, *rows.column("source_id").to_pylist()[1:]]
    at = rows.schema.get_field_index("source_id")
    rows = rows.set_column(at, rows.schema.field(at), pa.array(names))
    return replace(sample, content=replace(sample.content, candidates=rows))


@pytest.fixture(scope="module")
def sample() -> Sample:
    return evil_sample()


@pytest.fixture(scope="module")
def url(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample.write(tmp_path_factory.mktemp("page")).as_uri()


@pytest.fixture(scope="module")
def large_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_sample(10_000, size_pix=21).write(tmp_path_factory.mktemp("large")).as_uri()


@pytest.fixture
def page(driver: "WebDriver", url: str) -> "WebDriver":
    """The small page, with nothing decided."""
    open_page(driver, url)
    if driver.execute_script("return localStorage.length"):
        driver.execute_script("localStorage.clear()")
        open_page(driver, url)
    return driver


def press(driver: "WebDriver", keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver, duration=0).send_keys(keys).perform()


def set_field(driver: "WebDriver", name: str, value: str) -> None:
    script = """
    const field = document.getElementById(arguments[0]);
    field.value = arguments[1];
    field.dispatchEvent(new Event('input'));
    """
    driver.execute_script(script, name, value)


def text_of(driver: "WebDriver", selector: str) -> str:
    script = "return document.querySelector(arguments[0]).textContent"
    return driver.execute_script(script, selector)


def click(driver: "WebDriver", selector: str) -> None:
    driver.execute_script("document.querySelector(arguments[0]).click()", selector)


def column(sample: Sample, name: str) -> list[Any]:
    return sample.content.candidates.column(name).to_pylist()


def downloaded(driver: "WebDriver", downloads: Path, button: str, name: str) -> str:
    for file in downloads.iterdir():
        file.unlink()
    press(driver, "e")
    click(driver, f"#{button}")
    text = wait_for(lambda: (downloads / name).exists() and (downloads / name).read_text(), name)
    click(driver, "#export form button")
    return text


def test_a_malicious_name_is_only_text(page: "WebDriver") -> None:
    assert text_of(page, "#detail h2") == EVIL
    assert text_of(page, "#rows .row > div:nth-child(3)") == EVIL
    assert page.execute_script("return window.hacked") is None


@pytest.mark.parametrize("name", ["magnitude_ab", "neighbour_arcsec", "source_id", "object_id"])
def test_a_click_on_a_heading_sorts_and_unknown_values_come_last(
    page: "WebDriver", sample: Sample, name: str
) -> None:
    values = column(sample, name)
    if name in {"magnitude_ab", "neighbour_arcsec"}:  # as short as the page has them
        values = [
            None if v is None else round(v, 3 if name == "magnitude_ab" else 4) for v in values
        ]
    known = [k for k in range(COUNT) if values[k] is not None]
    unknown = [k for k in range(COUNT) if values[k] is None]
    up = sorted(known, key=lambda k: (values[k], k))
    down = sorted(known, key=lambda k: values[k], reverse=True)
    button = f"#heading [data-key={name}]"
    for _ in range(2):
        click(page, button)
        order = page.execute_script(f"return document.querySelector('{button}').ariaSort")
        expected = (up if order == "ascending" else down) + unknown
        seen = page.execute_script(READ_TABLE)
        assert seen == expected[: len(seen)]
        assert len(seen) > 10
        press(page, "\ue010")  # End
        wait_for(lambda last=expected[-1]: last in page.execute_script(READ_TABLE), "the end")


def test_filters_leave_what_passes_all_of_them(page: "WebDriver", sample: Sample) -> None:
    set_field(page, "class", "sn")
    set_field(page, "magnitude", "19")
    set_field(page, "real", "0.9")
    columns = (column(sample, n) for n in ("predicted_class", "magnitude_ab", "real_bogus"))
    rows = enumerate(zip(*columns, strict=True))
    expected = [k for k, (c, m, r) in rows if c == "sn" and m <= 19 and r >= 0.9]
    assert text_of(page, "#status").startswith(f"{len(expected)} of {COUNT} ")
    seen = page.execute_script(READ_TABLE)
    assert seen == expected[: len(seen)]
    click(page, "#clear")
    assert text_of(page, "#status").startswith(f"{COUNT} of {COUNT} ")


def test_a_search_finds_names_and_detections(page: "WebDriver", sample: Sample) -> None:
    press(page, "/" + column(sample, "source_id")[7].upper())
    assert page.execute_script(READ_TABLE) == [7]
    set_field(page, "search", str(column(sample, "object_id")[123]))
    assert page.execute_script(READ_TABLE) == [123]
    set_field(page, "search", "no such name")
    assert page.execute_script(READ_TABLE) == []
    assert "No candidate passes" in text_of(page, "#detail")


def test_keys_move_pick_reject_and_undo(page: "WebDriver", sample: Sample) -> None:
    names = column(sample, "source_id")
    press(page, "jjk")
    assert text_of(page, "#detail h2") == names[1]
    press(page, "pxj")
    assert text_of(page, "#detail h2") == names[4]
    assert "1 picked · 1 rejected" in text_of(page, "#status")
    press(page, "u")
    assert text_of(page, "#detail h2") == names[2]
    assert "1 picked · 0 rejected" in text_of(page, "#status")
    press(page, "?")
    assert page.execute_script("return document.getElementById('help').open")
    press(page, "\ue00cj")  # Escape
    assert text_of(page, "#detail h2") == names[3]


def test_in_a_filtered_view_a_decision_makes_room_for_the_next_candidate(
    page: "WebDriver", sample: Sample
) -> None:
    set_field(page, "decision", "undecided")
    press(page, "\ue00c")
    page.execute_script("document.getElementById('table').focus()")
    press(page, "jpp")
    assert text_of(page, "#detail h2") == column(sample, "source_id")[3]
    assert page.execute_script(READ_TABLE)[:3] == [0, 3, 4]


def test_decisions_are_there_again_when_the_page_is_opened_again(
    page: "WebDriver", url: str
) -> None:
    press(page, "pjx")
    open_page(page, url)
    assert "1 picked · 1 rejected" in text_of(page, "#status")
    set_field(page, "decision", "picked")
    assert page.execute_script(READ_TABLE) == [0]


def test_picked_candidates_are_exported_as_csv(
    page: "WebDriver", sample: Sample, downloads: Path
) -> None:
    press(page, "pjpx")
    rows = list(
        csv.DictReader(io.StringIO(downloaded(page, downloads, "export-csv", "picked.csv")))
    )
    ids = column(sample, "object_id")
    assert [int(row["object_id"]) for row in rows] == [ids[0], ids[2]]
    assert rows[0]["source_id"] == f"'{EVIL}"  # no formula to a spreadsheet
    assert float(rows[1]["ra"]) == pytest.approx(column(sample, "ra")[2], abs=1e-6)
    assert float(rows[1]["p_sn"]) == pytest.approx(column(sample, "score")[2], abs=1e-4)
    text = downloaded(page, downloads, "export-all", "decisions.csv")
    decisions = [row["decision"] for row in csv.DictReader(io.StringIO(text))]
    assert decisions == ["picked", "picked", "rejected"]


def test_picked_candidates_are_exported_as_a_report_to_tns(
    page: "WebDriver", sample: Sample, downloads: Path
) -> None:
    from astropy.time import Time

    candidate = sample.content.candidates.slice(9, 1).to_pylist()[0]
    press(page, "j" * 9 + "p")
    report = json.loads(downloaded(page, downloads, "export-tns", "tns_report.json"))
    (only,) = report["at_report"].values()
    history = make_history(candidate, 9).sort_by("mjd").to_pylist()
    seen = [p for p in history if p["magnitude_ab"] is not None and p["is_positive"]]
    before = [p for p in history if p["magnitude_ab"] is None and p["mjd"] < seen[0]["mjd"]]
    filters = {"g": "110", "r": "111", "i": "112"}
    assert only["internal_name"] == candidate["source_id"]
    assert float(only["ra"]["value"]) == pytest.approx(candidate["ra"], abs=1e-6)
    assert only["at_type"] == "1"
    assert only["reporter"].startswith("FILL IN")
    assert only["reporting_group_id"].startswith("FILL IN")
    when = Time(only["discovery_datetime"], scale="utc").mjd
    assert when == pytest.approx(seen[0]["mjd"], abs=2e-5)
    (point,) = only["photometry"]["photometry_group"].values()
    assert float(point["flux"]) == pytest.approx(seen[0]["magnitude_ab"], abs=1e-3)
    assert (point["filter_value"], point["instrument_value"]) == (filters[seen[0]["band"]], "196")
    limit = only["non_detection"]
    assert float(limit["limiting_flux"]) == pytest.approx(before[-1]["limit_mag_ab"], abs=1e-3)
    assert Time(limit["obsdate"], scale="utc").mjd == pytest.approx(before[-1]["mjd"], abs=2e-5)


def test_the_light_curve_has_a_mark_for_every_detection_and_upper_limit(
    page: "WebDriver", sample: Sample
) -> None:
    press(page, "jjjj")
    drawn = "return document.querySelectorAll('#curve .' + arguments[0]).length"
    wait_for(lambda: page.execute_script(drawn, "detection"), "a curve")
    history = make_history(sample.content.candidates.slice(4, 1).to_pylist()[0], 4)
    limits = history.column("magnitude_ab").null_count
    assert page.execute_script(drawn, "upper-limit") == limits
    assert page.execute_script(drawn, "detection") == history.num_rows - limits


def test_links_name_the_position_and_the_object(page: "WebDriver", sample: Sample) -> None:
    press(page, "j")
    script = "return [...document.querySelectorAll('.links a')].map(a => [a.textContent, a.href])"
    links = dict(page.execute_script(script))
    assert set(links) == {"NED", "SIMBAD", "TNS", "ALeRCE", "Aladin Lite"}
    ra, dec = (round(column(sample, name)[1], 6) for name in ("ra", "dec"))
    assert f"ra={ra}&decl={dec}" in links["TNS"]
    assert links["ALeRCE"].endswith(f"/object/{column(sample, 'source_id')[1]}")
    assert f"{ra}%20%2B{dec}" in links["SIMBAD"]


@pytest.mark.slow
def test_ten_thousand_candidates_are_painted_soon(driver: "WebDriver", large_url: str) -> None:
    times = []
    for _ in range(3):
        open_page(driver, large_url)
        times.append(first_paint_s(driver))
    assert sorted(times)[1] < 1.5
    assert "10,000 of 10,000" in text_of(driver, "#status")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [20, 60])
def test_scrolling_through_ten_thousand_candidates_meets_no_blank_row(
    driver: "WebDriver", large_url: str, steps: int
) -> None:
    open_page(driver, large_url)
    seen = driver.execute_async_script(FLING, steps)
    assert seen["blanks"] == 0
    assert seen["frames"] == steps + 1
    missing = """
    return [...document.querySelectorAll('#rows .row')].filter(row => !row.hidden)
      .flatMap(row => [...row.querySelectorAll('.cutout')])
      .filter(one => one.style.backgroundImage === 'none').length
    """
    wait_for(lambda: driver.execute_script(missing) == 0, "thumbnails in sight")


def test_the_page_works_from_a_web_server_and_loads_nothing_from_elsewhere(
    driver: "WebDriver", sample: Sample, tmp_path: Path
) -> None:
    sample.write(tmp_path)
    driver.get_log("browser")  # what other pages said
    with serving(tmp_path) as port:
        server = f"http://127.0.0.1:{port}/"
        open_page(driver, f"{server}index.html")
        assert f"{COUNT} of {COUNT}" in text_of(driver, "#status")
        press(driver, "jj")
        drawn = "return document.querySelector('#curve svg')"
        wait_for(lambda: driver.execute_script(drawn), "a curve")
        entries = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        pictures = lambda: [name for name in driver.execute_script(entries) if ".png" in name]
        wait_for(lambda: len(pictures()) > 1, "sheets")
        assert all(name.startswith(server) for name in driver.execute_script(entries))
    assert driver.get_log("browser") == []


def test_a_page_without_light_curves_says_so(driver: "WebDriver", tmp_path: Path) -> None:
    sample = make_sample(5, size_pix=21)
    silent = replace(sample, read=lambda a, b: (sample.read(a, b)[0], [detail_text(None, {})] * 5))
    open_page(driver, silent.write(tmp_path).as_uri())
    wait_for(lambda: "no light curve" in text_of(driver, "#detail"), "a sentence")
