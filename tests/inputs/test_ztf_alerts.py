import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from alert_files import PIXELS, RECORDS, read_all, write_files
from alert_samples import (
    SCHEMA,
    alert_survey,
    candidate,
    fits_bytes,
    noise,
    packet,
)
from input_samples import listed

from catalogtool.errors import LabelError
from catalogtool.flags import Flag
from catalogtool.inputs._alerts import HISTORY_SCHEMA
from catalogtool.inputs.ztf_alerts import Format
from catalogtool.surveys import load_survey


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return write_files(tmp_path / "night")


def test_packets_become_rows_pixels_and_facts(folder: str) -> None:
    rows, cutouts = read_all(folder)
    assert rows.column("object_id").to_pylist() == list(range(1, 9))
    assert rows.column("source_id").to_pylist() == [record["objectId"] for record in RECORDS]
    assert rows.column("ra").to_pylist() == [record["candidate"]["ra"] for record in RECORDS]
    expected = [record["candidate"]["jd"] - 2_400_000.5 for record in RECORDS]
    assert rows.column("observed_mjd").to_pylist() == expected
    assert not rows.column("flags").to_numpy().any()
    np.testing.assert_array_equal(cutouts.images, PIXELS)
    assert not cutouts.mask.any()
    assert not cutouts.flags.any()
    assert cutouts.images.dtype == np.dtype("f4")
    facts = cutouts.facts
    assert facts is not None
    assert facts.column("band").to_pylist() == ["r", "g"] * 4
    assert facts.column("is_positive").to_pylist() == [False, True] * 4
    assert facts.column("isdiffpos").to_pylist() == [1, 0] * 4
    assert facts.column("detections").to_pylist() == [3] * 8
    assert facts.column("non_detections").to_pylist() == [297] * 8
    drb = np.array([record["candidate"]["drb"] for record in RECORDS], dtype=np.float32)
    np.testing.assert_array_equal(facts.column("survey_score").to_numpy(), drb)


def test_reading_does_not_depend_on_company(folder: str) -> None:
    source = Format(alert_survey(), folder)
    rows = listed(source)
    together = source.read(rows)
    for index in range(rows.num_rows):
        alone = source.read(rows.slice(index, 1))
        np.testing.assert_array_equal(alone.images[0], together.images[index])
        assert alone.facts is not None
        assert together.facts is not None
        assert alone.facts.to_pylist()[0] == together.facts.to_pylist()[index]


@pytest.mark.parametrize("shape", [(62, 63), (48, 63), (63, 63), (61, 61), (102, 81), (30, 30)])
def test_other_sizes_are_centred_by_padding_or_cropping(shape: tuple[int, int]) -> None:
    images = [noise(band, shape) for band in range(3)]
    cutouts = Format(alert_survey(), None).decode([packet(candidate(1, images))])
    if shape == (63, 63):
        assert not cutouts.flags.any()
        return
    assert (cutouts.flags == Flag.PADDED).all()
    height, width = (min(side, 63) for side in shape)
    assert np.count_nonzero(~cutouts.mask[0, 0]) == height * width
    y, x = ((side - 63 + 1) // 2 if side > 63 else -((63 - side) // 2) for side in shape)
    centre = images[0][31 + y, 31 + x]
    assert cutouts.images[0, 0, 31, 31] == centre


@pytest.mark.parametrize(
    ("shape", "where", "source"),
    [
        ((48, 63), {"ypos": 17.0}, (16, 31)),
        ((63, 48), {"xpos": 3056.0}, (31, 31)),
        ((63, 48), {"xpos": 17.0}, (31, 16)),
        ((53, 63), {"ypos": 3058.0}, (31, 31)),
        ((48, 50), {"ypos": 17.0, "xpos": 3054.0}, (16, 31)),
    ],
)
def test_cutouts_at_a_detectors_edge_keep_their_object_in_the_centre(
    shape: tuple[int, int], where: dict[str, float], source: tuple[int, int]
) -> None:
    images = [np.zeros(shape, dtype=np.float32) for _ in range(3)]
    for image in images:
        image[source] = 7
    record = candidate(1, images, **{"mindtoedge": 17.0, **where})
    for size_pix in (63, 101, 21):
        cutouts = Format(alert_survey(size_pix), None).decode([packet(record)])
        centre = size_pix // 2
        assert (cutouts.images[0, :, centre, centre] == 7).all()
        assert (cutouts.flags == Flag.PADDED).all()


def test_nan_infinite_and_fill_values_are_masked() -> None:
    image = noise(1)
    image[3, :4] = np.nan, np.inf, -np.inf, -3.4028235e38
    cutouts = Format(alert_survey(), None).decode([packet(candidate(1, [image] * 3))])
    assert np.argwhere(cutouts.mask[0, 1]).tolist() == [[3, 0], [3, 1], [3, 2], [3, 3]]
    assert not cutouts.images[0, :, 3, :4].any()
    assert not cutouts.flags.any()


def test_sentinels_are_unknown() -> None:
    record = candidate(1, sgscore1=-999.0, distnr=-99.0, rb=float("nan"), drb=None, fwhm=-3.4e38)
    facts = Format(alert_survey(), None).decode([packet(record)]).facts
    assert facts is not None
    unknown = {name for name in facts.column_names if facts.column(name).null_count}
    assert unknown == {"sgscore1", "distnr", "rb", "fwhm", "survey_score"}


def test_trouble_with_one_cutout_is_a_flag_of_its_band() -> None:
    good = noise(1)
    cases = {
        b"": Flag.UNREADABLE,
        b"nothing": Flag.UNREADABLE,
        gzip.compress(b"nothing"): Flag.UNREADABLE,
        fits_bytes(good)[:500]: Flag.UNREADABLE,
        fits_bytes(good, zipped=False): Flag(0),
        None: Flag.MISSING_BAND,
    }
    for data, flag in cases.items():
        record = candidate(1, [good, data, good])
        cutouts = Format(alert_survey(), None).decode([packet(record)])
        assert cutouts.flags.tolist() == [[0, flag, 0]]
        assert cutouts.mask[0, 1].all() == bool(flag)
        np.testing.assert_array_equal(cutouts.images[0, [0, 2]], [good, good])


def test_bands_are_those_that_the_schema_explains() -> None:
    schema = json.loads(json.dumps(SCHEMA))
    schema["fields"][3]["type"]["fields"][1]["doc"] = "Filter ID (1=J; 2=Y)"
    data = [packet(record, schema=schema) for record in RECORDS[:2]]
    facts = Format(alert_survey(), None).decode(data).facts
    assert facts is not None
    assert facts.column("band").to_pylist() == ["y", "j"]


def test_the_history_holds_detections_and_limits_in_the_order_of_time(folder: str) -> None:
    source = Format(alert_survey(), folder)
    rows = listed(source).slice(2, 2)
    history = source.read_history(rows)
    assert history.schema == HISTORY_SCHEMA
    assert history.num_rows == 26
    first = history.slice(0, 13)
    assert set(first.column("object_id").to_pylist()) == {3}
    times = first.column("mjd").to_numpy()
    assert (np.diff(times) > 0).all()
    assert times[-1] == RECORDS[2]["candidate"]["jd"] - 2_400_000.5
    magnitude = np.float32(RECORDS[2]["candidate"]["magpsf"])
    assert first.column("magnitude_ab").to_pylist()[-1] == magnitude
    assert source.read_history(rows.slice(0, 0)).num_rows == 0


def test_limits_have_no_magnitude(tmp_path: Path) -> None:
    record = candidate(5)
    for one in record["prv_candidates"][::2]:
        one |= {"magpsf": None, "isdiffpos": None}
    write_files(tmp_path / "n", [record])
    source = Format(alert_survey(), str(tmp_path / "n"))
    history = source.read_history(listed(source))
    assert history.column("magnitude_ab").null_count == 6
    assert history.column("magnitude_error").null_count == 6
    assert history.column("limit_mag_ab").null_count == 0


def test_labels_join_by_alert_or_by_object(tmp_path: Path, folder: str) -> None:
    survey = alert_survey(id_column="name").model_copy(
        update={"labels": load_survey("clash").labels}
    )
    columns = ",".join(survey.labels.columns)
    fractions = ",".join(["1"] + ["0"] * (len(survey.labels.columns) - 1))
    table = tmp_path / "labels.csv"
    table.write_text(f"name,{columns}\n3,{fractions}\nZTF180000005,{fractions}\n")
    survey = survey.model_copy(
        update={"labels": survey.labels.model_copy(update={"per_band": False})}
    )
    rows = listed(Format(survey, folder, str(table)))
    known = [votes is not None for votes in rows.column("votes").to_pylist()]
    assert np.flatnonzero(known).tolist() == [2, 4]
    table.write_text(f"name,{columns}\nnobody,{fractions}\n")
    with pytest.raises(LabelError, match="nobody"):
        listed(Format(survey, folder, str(table)))
