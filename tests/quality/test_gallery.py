"""The page of unusual objects and hosts."""

import re

import numpy as np

from catalogtool.quality.gallery import Anomaly, GalleryContent, Host, render_gallery

HOST = {
    "object_id": 4,
    "source_id": "SN <1>",
    "separation_arcsec": 3.21,
    "scatter_arcsec": 0.4,
    "host_probability": 0.61,
    "hostless_probability": 0.02,
    "second_probability": 0.35,
    "is_detected": True,
    "is_ambiguous": True,
    "matched_id": "galaxy 9",
    "redshift": 0.0123,
    "ra": 10.0,
    "dec": 20.0,
}
ODD = {
    "object_id": 7,
    "source_id": "",
    "anomaly_score": 5.25,
    "anomaly_p_value": 0.004,
    "nearest_class": "disk",
    "ra": 10.5,
    "dec": -2.25,
    "class_distances": [0.5, 12.0],
}


def content(*, simulated: bool = False) -> GalleryContent:
    image = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    arrows = {"host": (6.0, 2.0), "network": (5.0, 1.0), "second": (-8.0, 3.0)}
    remarks = ("The cutouts are simulated.",) if simulated else ()
    return GalleryContent(
        "Gallery", "Run 1", (Anomaly(image, ODD),), (Host(image, HOST, arrows, 1.5),), remarks
    )


def test_the_page_needs_no_other_file_and_escapes_names() -> None:
    page = render_gallery(content(simulated=True))
    assert "SN &lt;1&gt;" in page
    assert "<1>" not in page
    assert not re.search(r'src="(?!data:)|<image [^>]*href="(?!data:)|<(?:link|script)', page)
    assert "The cutouts are simulated." in page


def test_figures_of_the_rows_are_on_the_page() -> None:
    page = render_gallery(content())
    for text in ("5.25", "0.004", "disk", "10.50000 -2.25000", "3.21″ ± 0.40″", "61%", "plausible"):
        assert text in page
    assert "galaxy 9, z = 0.0123" in page


def test_arrows_point_upward_where_rows_do() -> None:
    page = render_gallery(content())
    x, y = 20.5, 19.5  # the central pixel, y downward
    assert f"M{x} {y}L{x + 6} {y - 2}" in page
    assert page.count("stroke-dasharray") == 3


def test_a_run_without_hosts_shows_anomalies_alone() -> None:
    only = content()
    page = render_gallery(
        GalleryContent(only.title, only.subtitle, only.anomalies, (), only.remarks)
    )
    assert "Unusual objects" in page
    assert "<h2>Hosts</h2>" not in page
