"""Rubin alert packets: ``diaSource`` and three cutouts, which vary in size."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from catalogtool.flags import Flag
from catalogtool.inputs._alerts import AlertFormat
from catalogtool.inputs._alerts.byte_source import DamagedError
from catalogtool.inputs._alerts.facts import (
    Measurement,
    Numbers,
    column,
    numbers_of,
    sign_of,
    sky_columns,
    texts_of,
)
from catalogtool.inputs._alerts.layout import PacketFields
from catalogtool.inputs._alerts.planes import Image, fill_cutouts, image_in
from catalogtool.inputs._alerts.rubin_planes import Planes, north_up, variance_and_psf
from catalogtool.inputs._alerts.schema import Record
from catalogtool.inputs._base import FloatArray

_CUTOUTS = {
    "science": "cutoutScience",
    "template": "cutoutTemplate",
    "difference": "cutoutDifference",
}
_MEASURED = ("psfFlux", "psfFluxErr", "snr", "scienceFlux", "templateFlux", "extendedness")
_NAMES = frozenset({"diaSourceId", "diaObjectId", "ssObjectId", "midpointMjdTai", "ra", "dec"})
_DETECTION = _NAMES | {*_MEASURED, "band", "reliability", "isNegative", "is_negative"}
_EARLIER = frozenset(
    {"midpointMjdTai", "band", "psfFlux", "psfFluxErr", "isNegative", "is_negative"}
)
_COUNTED = {"diaObject": frozenset({"nDiaSources"}), "prvDiaSources": frozenset({"diaSourceId"})}
_ZEROPOINT_NJY = 31.4
_MAGNITUDES = 2.5 / np.log(10)
_LIMIT_SIGMA = 5


class Format(AlertFormat):
    """Packets with a record ``diaSource``, in any version of their schema.

    Fluxes are nJy. An object that no ``diaObject`` knows is named after its solar-system object.
    """

    fields = PacketFields(
        survey="Rubin",
        wanted={
            "listing": {"diaSourceId": None, "diaSource": _NAMES},
            "reading": {"diaSourceId": None, "diaSource": _DETECTION}
            | _COUNTED
            | dict.fromkeys(_CUTOUTS.values()),
            "history": {
                "diaSourceId": None,
                "diaSource": _DETECTION,
                "prvDiaSources": _EARLIER,
                "prvDiaForcedSources": _EARLIER,
            },
        },
        cutouts=frozenset(_CUTOUTS.values()),
        main="diaSource",
    )

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether this is a file, a folder or an archive of packets with a ``diaSource``."""
        return Format._is_ours(uri)

    def measurement(self, record: Record, documents: Mapping[str, str]) -> Measurement:  # noqa: ARG002
        """Fields of the source, and `id`, `name`, `is_positive`, `detections`."""
        source = record.get("diaSource")
        found = dict(source) if isinstance(source, dict) else {}
        found["id"] = found.get("diaSourceId") or record.get("diaSourceId")
        if found.get("diaObjectId"):
            found["name"] = str(found["diaObjectId"])
        elif found.get("ssObjectId"):
            found["name"] = f"ss{found['ssObjectId']}"
        counted = (record.get("diaObject") or {}).get("nDiaSources")
        found["detections"] = counted or 1 + len(record.get("prvDiaSources") or ())
        return found

    def observed_mjd(self, measurements: Sequence[Measurement]) -> Numbers:
        """Middle of exposures: MJD, UTC; NaN where unknown."""
        return _utc_mjd(measurements)

    def images(self, record: Record) -> dict[str, Image]:
        """FITS files by band."""
        found = {
            band: image
            for band, name in _CUTOUTS.items()
            if (image := image_in(record.get(name))) is not None
        }
        return {b: _turned(i) for b, i in found.items()} if self.survey.input.north_up else found

    def read_planes(self, rows: pa.Table) -> Planes:
        """Variance and point-spread functions of some manifest rows.

        They are those of the pixels as they were taken, whatever the survey's `north_up`.

        Raises
        ------
        StorageError
            Only if the storage cannot be reached and trying again may help.
        """
        bands = self.survey.band_names
        variance = self.empty_cutouts(rows.num_rows)
        psf: list[list[FloatArray | None]] = [[None] * len(bands) for _ in range(rows.num_rows)]
        for index, found in self.packets(rows, "reading"):
            if isinstance(found, Flag):
                continue
            images = [image_in(found.record.get(_CUTOUTS.get(band, ""))) for band in bands]
            pairs = [variance_and_psf(i) if isinstance(i, bytes) else (None, None) for i in images]
            fill_cutouts(variance, index, [plane for plane, _ in pairs])
            psf[index] = [one for _, one in pairs]
        return Planes(np.where(variance.mask, np.nan, variance.images), psf)

    @property
    def pixel_flags(self) -> Flag:
        """Turning resamples."""
        return Flag.RESAMPLED if self.survey.input.north_up else Flag(0)

    def facts(self, measurements: Sequence[Measurement]) -> pa.Table:
        """Facts that all alerts have, and Rubin's fluxes, in nJy."""
        numbers = dict(zip(_MEASURED, numbers_of(measurements, _MEASURED), strict=True))
        ra, dec, score, detections = numbers_of(
            measurements, ("ra", "dec", "reliability", "detections")
        )
        magnitude, error = _magnitudes(numbers["psfFlux"], numbers["psfFluxErr"])
        columns = {
            "band": texts_of(measurements, "band"),
            "magnitude_ab": column(magnitude),
            "magnitude_error": column(error),
            "is_positive": column(_positive(measurements), pa.bool_()),
            "survey_score": column(score),
            "detections": column(detections, pa.int32()),
            "ra": column(ra),
            "dec": column(dec),
        }
        columns |= {name: column(values) for name, values in numbers.items()}
        return pa.table(columns | sky_columns(ra, dec))

    def detections(self, record: Record, documents: Mapping[str, str]) -> pa.Table:  # noqa: ARG002
        """The source, earlier ones, and as limits the forced photometry that found nothing."""
        found = [record["diaSource"], *(record.get("prvDiaSources") or [])]
        times = {one.get("midpointMjdTai") for one in found}
        forced = [
            one
            for one in record.get("prvDiaForcedSources") or []
            if one.get("midpointMjdTai") not in times
        ]
        return pa.concat_tables([_detected(found), _limits(forced)])


def _turned(image: Image) -> Image:
    if not isinstance(image, bytes):
        return b""  # a table's numbers come without a WCS
    try:
        return north_up(image)
    except DamagedError:
        return b""


def _detected(sources: Sequence[dict[str, Any]]) -> pa.Table:
    flux, error = numbers_of(sources, ("psfFlux", "psfFluxErr"))
    magnitude, magnitude_error = _magnitudes(flux, error)
    return _history_table(sources, magnitude, magnitude_error, _limit(error))


def _limits(forced: Sequence[dict[str, Any]]) -> pa.Table:
    """Those of too little flux to be detections, which the packet lists otherwise."""
    flux, error = numbers_of(forced, ("psfFlux", "psfFluxErr"))
    faint = [
        one for one, low in zip(forced, np.abs(flux) < _LIMIT_SIGMA * error, strict=True) if low
    ]
    (error,) = numbers_of(faint, ("psfFluxErr",))
    unknown = np.full(len(faint), np.nan)
    return _history_table(faint, unknown, unknown, _limit(error))


def _history_table(
    sources: Sequence[dict[str, Any]], magnitude: Numbers, error: Numbers, limit: Numbers
) -> pa.Table:
    times = _utc_mjd(sources)
    positive = np.where(np.isnan(magnitude), np.nan, _positive(sources))
    return pa.table(
        {
            "mjd": pa.array(times, mask=np.isnan(times)),
            "band": texts_of(sources, "band"),
            "magnitude_ab": column(magnitude),
            "magnitude_error": column(error),
            "limit_mag_ab": column(limit),
            "is_positive": column(positive, pa.bool_()),
        }
    )


def _magnitudes(flux: Numbers, error: Numbers) -> tuple[Numbers, Numbers]:
    """AB magnitudes of the sizes of differences in nJy, and their errors; NaN for no flux."""
    size = np.where(flux == 0, np.nan, np.abs(flux))
    return _ZEROPOINT_NJY - 2.5 * np.log10(size), _MAGNITUDES * error / size


def _limit(error: Numbers) -> Numbers:
    return _magnitudes(_LIMIT_SIGMA * error, error)[0]


def _positive(measurements: Sequence[Measurement]) -> Numbers:
    """1 where the science image is brighter: by the sign of the flux, else as the packet says.

    In early schemas ``is_negative`` is false throughout.
    """
    (flux,) = numbers_of(measurements, ("psfFlux",))
    flags = [one.get("isNegative", one.get("is_negative")) for one in measurements]
    told = 1 - np.array([sign_of(flag) for flag in flags], dtype=np.float64)
    return np.where(np.isnan(flux), told, flux > 0)


def _utc_mjd(sources: Sequence[Measurement]) -> Numbers:
    from astropy.time import Time

    (tai,) = numbers_of(sources, ("midpointMjdTai",))
    utc = np.full(len(tai), np.nan)
    known = (tai > 0) & (tai < 100_000)  # years 1858 to 2132: others are no dates
    utc[known] = Time(tai[known], format="mjd", scale="tai").utc.mjd
    return utc
