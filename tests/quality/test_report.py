import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import dask
import numpy as np
import pytest
from quality_samples import OBJECTS, CatalogSection, make_content

from catalogtool.quality import _figures
from catalogtool.quality.report import opening_code, render_report, write_report
from catalogtool.release.verify import Check

_VOID = {"meta", "img", "br"}


class _Balance(HTMLParser):
    """Checks that tags outside of SVG close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(long_section: CatalogSection) -> str:
    return render_report(make_content((long_section,)))


def test_the_page_is_well_formed_and_stands_alone(page: str) -> None:
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page)
    assert outside == []
    assert "@import" not in page
    assert "<script" not in page


def test_text_from_outside_is_escaped(page: str) -> None:
    assert "Morphology of CLASH &amp; &lt;friends&gt;" in page
    assert "<friends>" not in page
    assert "f160w &lt;b&gt;" in page


def test_the_page_says_what_was_counted_and_checked(page: str) -> None:
    for text in ("4,800", "4,793", "unreadable", "keys unique", "deep_clash", "Error per band"):
        assert text in page
    assert "122.8" in page  # all stages together
    assert "FAILED" not in page


def test_the_page_shows_how_reliable_the_probabilities_are(page: str) -> None:
    section = page[page.index("<h2>Calibration") :]
    assert "<td>before</td>" in section
    assert '<td class="n">0.740</td>' in section
    assert "share that is right" in section


def test_simulated_data_have_a_banner_and_real_data_have_none(
    page: str, long_section: CatalogSection
) -> None:
    assert "no row describes a real object" in page
    real = replace(make_content((long_section,)), simulated_pixels=False, simulated_training=False)
    assert 'class="banner"' not in render_report(real)


def test_a_failed_check_stands_out(long_section: CatalogSection) -> None:
    report = long_section.verification
    broken = replace(report, checks=(*report.checks, Check("hashes", passed=False, found="x")))
    section = replace(long_section, verification=broken)
    page = render_report(make_content((section,)))
    assert "NOT VERIFIED" in page
    assert 'class="bad">FAILED' in page


def test_what_is_unknown_is_left_out(long_section: CatalogSection) -> None:
    content = replace(
        make_content((long_section,)), figures={}, figures_by_band={}, examples=(), timings=()
    )
    page = render_report(content)
    assert "No labels were kept aside" in page
    assert "<h2>Examples</h2>" not in page
    assert "<h2>Time</h2>" not in page


def test_the_same_run_gives_the_same_page(page: str, long_section: CatalogSection) -> None:
    assert render_report(make_content((long_section,))) == page


def test_a_wide_catalog_over_the_whole_sky_is_drawn(
    wide_section: CatalogSection, tmp_path: Path
) -> None:
    uri = str(tmp_path / "report.html")
    write_report(make_content((wide_section,)), uri)
    assert Path(uri).stat().st_size > 20_000


def test_the_lines_that_open_the_catalog_work(long_section: CatalogSection) -> None:
    names: dict = {}
    with warnings.catch_warnings(), dask.config.set(scheduler="sync"):
        warnings.simplefilter("ignore")
        exec(opening_code(long_section.uri), names)  # noqa: S102 - the printed lines are tested
    assert len(names["rows"]) == len(names["table"]) == OBJECTS * 16
    assert names["table"]["ra"].unit == "deg"


def test_objects_in_object_storage_are_not_globbed() -> None:
    assert "Path(" not in opening_code("s3://bucket/run/catalogs/clash_morphology")


def test_figures_are_svg_in_the_colour_of_the_page() -> None:
    svg = _figures.confusion([[3, 1], [0, 0]], ("a & b", "c"), "test")
    root = ET.fromstring(svg)  # noqa: S314 - made here
    assert root.tag.endswith("svg")
    assert "currentColor" in svg
    assert "#123456" not in svg


@pytest.mark.parametrize("shape", [(8, 8), (3, 8, 8)])
def test_cutouts_of_any_content_become_png(shape: tuple[int, ...]) -> None:
    for image in (
        np.zeros(shape),
        np.full(shape, np.nan),
        np.random.default_rng(0).normal(size=shape),
    ):
        assert _figures.cutout_png(image).startswith("data:image/png;base64,iVBOR")


def test_images_of_one_wavelength_are_shown_beside_each_other() -> None:
    images = np.stack([np.full((4, 4), 7.0), np.arange(16.0).reshape(4, 4)])
    images[0, 0, 0] = np.nan

    shown = _figures.side_by_side(images)

    assert shown.shape == (4, 8)
    assert np.isfinite(shown).all()
    assert shown[0, 4] == 0
    assert shown[3, 7] == 1
