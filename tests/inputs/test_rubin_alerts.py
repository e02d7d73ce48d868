from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from alert_samples import alert_survey, candidate, noise, packet, rubin_fits, rubin_packet
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.time import Time
from input_samples import listed

from catalogtool.flags import Flag
from catalogtool.inputs import open_input_format
from catalogtool.inputs._alerts import HISTORY_SCHEMA
from catalogtool.inputs._alerts.rubin_planes import north_up
from catalogtool.inputs.rubin_alerts import Format
from catalogtool.inputs.ztf_alerts import Format as ZtfFormat

CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")


def reader(uri: str | None = None, size_pix: int = 30) -> Format:
    return Format(alert_survey(size_pix, "rubin_alerts"), uri)


def facts_of(**values: Any) -> dict[str, Any]:  # noqa: ANN401
    facts = reader().decode([rubin_packet(1, **values)]).facts
    assert facts is not None
    row: dict[str, Any] = facts.to_pylist()[0]
    return row


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for number in range(1, 5):
        (tmp_path / f"{number}.avro").write_bytes(rubin_packet(number))
    return str(tmp_path)


def test_packets_become_rows_pixels_and_facts(folder: str) -> None:
    source = reader(folder)
    rows = listed(source)
    assert rows.column("object_id").to_pylist() == [1, 2, 3, 4]
    assert rows.column("source_id").to_pylist() == ["7001", "7002", "7003", "7004"]
    assert rows.column("ra").to_pylist() == [151.0, 152.0, 153.0, 154.0]
    utc = Time(61000.5, format="mjd", scale="tai").utc.mjd
    assert rows.column("observed_mjd").to_pylist() == [utc] * 4
    cutouts = source.read(rows)
    expected = [[noise(n + band, (30, 30)) for band in range(3)] for n in range(1, 5)]
    np.testing.assert_array_equal(cutouts.images, expected)
    assert not cutouts.flags.any()
    assert not cutouts.mask.any()


def test_fluxes_become_magnitudes() -> None:
    facts = facts_of(psfFlux=-1000.0, psfFluxErr=50.0)
    assert facts["magnitude_ab"] == pytest.approx(23.9)
    assert facts["magnitude_error"] == pytest.approx(2.5 / np.log(10) * 0.05)
    assert facts["is_positive"] is False
    assert facts["survey_score"] == 0.75
    assert facts["band"] == "i"
    assert facts_of(psfFlux=0.0)["magnitude_ab"] is None
    assert facts_of(psfFlux=None, isNegative=False)["is_positive"] is True


def test_detections_are_counted_by_the_object_or_by_what_the_packet_lists() -> None:
    assert facts_of()["detections"] == 4
    earlier = [{"diaSourceId": n, "midpointMjdTai": 60900.0, "ra": 1.0, "dec": 2.0} for n in (8, 9)]
    assert facts_of(diaObject=None, prvDiaSources=earlier)["detections"] == 3


def test_solar_system_sources_are_named_after_their_object(tmp_path: Path) -> None:
    data = rubin_packet(1, diaObjectId=None, ssObjectId=55, diaObject=None)
    (tmp_path / "a.avro").write_bytes(data)
    assert listed(reader(str(tmp_path))).column("source_id").to_pylist() == ["ss55"]


@pytest.mark.parametrize("size_pix", [30, 46, 102])
def test_cutouts_of_other_sizes_are_cut_about_their_centre(size_pix: int) -> None:
    cutouts = reader(size_pix=30).decode([rubin_packet(1, size_pix)])
    start = (size_pix - 30 + 1) // 2
    window = slice(start, start + 30)
    expected = noise(1, (size_pix, size_pix))[window, window]
    np.testing.assert_array_equal(cutouts.images[0, 0], expected)
    assert (cutouts.flags == (0 if size_pix == 30 else Flag.PADDED)).all()


def test_the_two_formats_do_not_take_each_others_packets(tmp_path: Path) -> None:
    for name, data in (("r", rubin_packet(1)), ("z", packet(candidate(1)))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.avro").write_bytes(data)
    rubin, ztf = str(tmp_path / "r"), str(tmp_path / "z")
    assert (Format.recognises(rubin), Format.recognises(ztf)) == (True, False)
    assert (ZtfFormat.recognises(rubin), ZtfFormat.recognises(ztf)) == (False, True)
    assert isinstance(open_input_format(alert_survey(), rubin), Format)


def test_variance_and_psf_are_kept_on_request(folder: str) -> None:
    source = reader(folder, 36)
    planes = source.read_planes(listed(source).slice(0, 2))
    assert planes.variance.shape == (2, 3, 36, 36)
    assert (planes.variance[:, :, 3:33, 3:33] == 4).all()
    assert np.isnan(planes.variance).sum() == 2 * 3 * (36**2 - 30**2)
    psf = planes.psf[1][2]
    assert psf is not None
    assert psf.shape == (41, 45)
    assert psf.sum() == 1


@pytest.mark.parametrize("angle_deg", [0, 90, 180, 270])
def test_turning_by_right_angles_moves_pixels(angle_deg: int) -> None:
    pixels = noise(3, (31, 31))
    turned = north_up(rubin_fits(pixels, angle_deg=angle_deg))
    expected = np.rot90(pixels, -angle_deg // 90)  # the first row is at the bottom
    inner = slice(1, -1)
    np.testing.assert_allclose(turned[inner, inner], expected[inner, inner], rtol=1e-4)


def test_turning_puts_a_source_where_its_position_is() -> None:
    y, x = np.mgrid[:31, :31]
    for angle_deg in (20.0, 65.0, 200.0):
        turn = np.deg2rad(angle_deg)
        # Five pixels north of the centre, where the detector sees it.
        from_x, from_y = 15 + 5 * np.sin(turn), 15 + 5 * np.cos(turn)
        blob = np.exp(-((x - from_x) ** 2 + (y - from_y) ** 2) / 8).astype(np.float32)
        turned = np.nan_to_num(north_up(rubin_fits(blob, angle_deg=angle_deg)))
        assert (turned * x).sum() / turned.sum() == pytest.approx(15, abs=0.1)
        assert (turned * y).sum() / turned.sum() == pytest.approx(20, abs=0.1)


def test_turned_cutouts_are_flagged(folder: str) -> None:
    survey = alert_survey(30, "rubin_alerts")
    turned = survey.input.model_copy(update={"north_up": True})
    source = Format(survey.model_copy(update={"input": turned}), folder)
    cutouts = source.read(listed(source))
    assert (cutouts.flags == Flag.RESAMPLED).all()


def test_the_history_has_magnitudes_and_limits(tmp_path: Path) -> None:
    earlier = {"diaSourceId": 9, "midpointMjdTai": 60900.0, "ra": 1.0, "dec": 2.0, "band": "g"}
    forced = [
        {"midpointMjdTai": 60950.0, "band": "r", "psfFlux": 20.0, "psfFluxErr": 40.0},
        {"midpointMjdTai": 60960.0, "band": "r", "psfFlux": 9000.0, "psfFluxErr": 40.0},
        {"midpointMjdTai": 61000.5, "band": "i", "psfFlux": 20.0, "psfFluxErr": 40.0},
    ]
    fluxes = {"psfFlux": 3630.78, "psfFluxErr": 100.0}
    data = rubin_packet(1, prvDiaSources=[earlier | fluxes], prvDiaForcedSources=forced)
    (tmp_path / "a.avro").write_bytes(data)
    source = reader(str(tmp_path))
    history = source.read_history(listed(source))
    assert history.schema == HISTORY_SCHEMA
    assert history.column("band").to_pylist() == ["g", "r", "i"]
    magnitudes = history.column("magnitude_ab").to_pylist()
    assert magnitudes[0] == pytest.approx(22.5, abs=1e-4)
    assert magnitudes[1] is None
    assert history.column("limit_mag_ab").to_pylist()[1] == pytest.approx(
        31.4 - 2.5 * np.log10(200)
    )
    assert history.column("is_positive").to_pylist() == [True, None, False]


@pytest.mark.data
def test_every_real_packet_is_read_as_astropy_does(data_folder: Path) -> None:
    folder = data_folder / "rubin-alerts" / "packets"
    source = reader(str(folder))
    rows = listed(source)
    assert rows.num_rows == 12
    cutouts, planes = source.read(rows), source.read_planes(rows)
    assert not cutouts.flags.any()
    for index, (uri,) in enumerate(rows.column("uris").to_pylist()):
        with Path(uri).open("rb") as stream:
            (record,) = fastavro.reader(stream)
        for band, name in enumerate(CUTOUTS):
            image, variance = by_astropy(record[name])
            mask = cutouts.mask[index, band]
            np.testing.assert_array_equal(mask, ~np.isfinite(image))
            np.testing.assert_array_equal(cutouts.images[index, band], np.where(mask, 0, image))
            np.testing.assert_array_equal(planes.variance[index, band], variance)


def by_astropy(data: bytes) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    import io

    ccd = CCDData.read(io.BytesIO(data), format="fits")
    with fits.open(io.BytesIO(data)) as file:
        np.testing.assert_array_equal(ccd.data, file[0].data)
        return np.asarray(file[0].data), np.asarray(file["UNCERT"].data)


@pytest.mark.data
def test_alerts_of_one_night_are_dated_in_utc(data_folder: Path) -> None:
    rows = listed(reader(str(data_folder / "rubin-alerts" / "packets")))
    table = pa.parquet.read_table(data_folder / "rubin-alerts" / "alerts.parquet")
    tai = dict(
        zip(*(table.column(n).to_pylist() for n in ("diaSourceId", "midpointMjdTai")), strict=True)
    )
    for object_id, mjd in zip(
        *(rows.column(n).to_pylist() for n in ("object_id", "observed_mjd")), strict=True
    ):
        assert mjd == pytest.approx(
            Time(tai[object_id], format="mjd", scale="tai").utc.mjd, abs=1e-9
        )
