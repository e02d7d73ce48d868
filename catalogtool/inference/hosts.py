"""Wide cutouts in; hosts and their probabilities out."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from catalogtool.catalogs._base import Predictions
from catalogtool.catalogs.host import FINDINGS
from catalogtool.flags import FATAL, Flag
from catalogtool.hosts.candidates import Found, weigh
from catalogtool.hosts.crossmatch import Galaxies
from catalogtool.hosts.sky import Orientation, shifted
from catalogtool.hosts.sources import Sources
from catalogtool.inference.host_fields import describe_fields, field_of
from catalogtool.inputs._base import Cutouts
from catalogtool.networks._delight import VARIANTS
from catalogtool.preprocess.pyramid import Pyramid
from catalogtool.training.hosts import CENTRE_PIX, HostModel, vote

Floats = npt.NDArray[np.float64]


class HostPredictor:
    """A model of hosts.

    Parameters
    ----------
    model : HostModel
    band : int
        Index of the band that is looked at.
    scale_arcsec : float
        Of a pixel, where the input does not say how a cutout lies on the sky.
    threads : int
        Threads of torch in this process.
    galaxies : Galaxies or None
        What hosts are matched with.
    """

    def __init__(
        self,
        model: HostModel,
        band: int,
        scale_arcsec: float,
        threads: int,
        galaxies: Galaxies | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        self.model = model
        self.band = band
        self.scale_arcsec = scale_arcsec
        self.galaxies = galaxies

    def describe(self, cutouts: Cutouts, manifest_rows: pa.Table) -> pa.Table:
        """Fields of some transients: all that `find` needs of their pixels."""
        return describe_fields(cutouts, manifest_rows, self.band, self.scale_arcsec)

    def find(self, fields: pa.Table, manifest_rows: pa.Table) -> Predictions:
        """Find the hosts of some transients.

        Parameters
        ----------
        fields : Table
            Of N transients.
        manifest_rows : Table
            Theirs; they tell the positions.
        """
        ra, dec = (_numbers(manifest_rows.column(name)) for name in ("ra", "dec"))
        flags = fields.column("flags").to_numpy().copy()
        rows: list[dict[str, object]] = [{} for _ in flags]
        for index in np.flatnonzero((flags & FATAL) == 0).tolist():
            field = fields.slice(index, 1).to_pylist()[0]
            found = self._find(*field_of(field))
            if found is None:
                flags[index] |= Flag.NO_SOURCE
            else:
                turned = Orientation(np.reshape(field["matrix"], (1, 2, 2)))
                rows[index] = self._describe(found, turned, ra[index], dec[index])
        return Predictions(
            probabilities=np.zeros((len(flags), 1, 0), dtype=np.float32),
            flags=flags[:, None],
            findings=pa.Table.from_pylist(rows, schema=FINDINGS),
        )

    def _find(self, sources: Sources, pyramid: Pyramid) -> Found | None:
        if not len(sources):
            return None
        votes = vote(self.model.network, pyramid[None])[0]
        assert votes.shape == (VARIANTS, 2)
        return weigh(sources, votes, self.model.association, CENTRE_PIX)

    def _describe(
        self, found: Found, orientation: Orientation, ra: float, dec: float
    ) -> dict[str, object]:
        """One row of `FINDINGS`."""
        scale = float(np.sqrt(abs(np.linalg.det(orientation.matrices[0]))))
        offsets = {
            name: orientation.offsets_arcsec(place[None])[0]
            for name, place in (
                ("host", found.host),
                ("network", found.network),
                ("second", found.second),
                ("nearest", found.nearest),
                ("lightest", found.lightest),
            )
        }
        here = (np.array([ra]), np.array([dec]))
        host_ra, host_dec = shifted(*here, offsets["host"][None])
        second_ra, second_dec = shifted(*here, offsets["second"][None])
        axis = np.array([np.cos(found.theta), np.sin(found.theta)])
        east, north = orientation.offsets_arcsec(axis[None])[0]
        row = {
            "offset_east_arcsec": offsets["host"][0],
            "offset_north_arcsec": offsets["host"][1],
            "network_east_arcsec": offsets["network"][0],
            "network_north_arcsec": offsets["network"][1],
            "nearest_east_arcsec": offsets["nearest"][0],
            "nearest_north_arcsec": offsets["nearest"][1],
            "lightest_east_arcsec": offsets["lightest"][0],
            "lightest_north_arcsec": offsets["lightest"][1],
            "host_ra": host_ra[0],
            "host_dec": host_dec[0],
            "scatter_arcsec": found.scatter * scale,
            "host_probability": found.p_host,
            "hostless_probability": found.p_hostless,
            "second_probability": found.p_second,
            "second_ra": second_ra[0],
            "second_dec": second_dec[0],
            "is_detected": found.is_detected,
            "semi_major_arcsec": found.a * scale,
            "semi_minor_arcsec": found.b * scale,
            "major_axis_angle_deg": np.degrees(np.arctan2(east, north)) % 180,
            "light_radii": found.light_radii,
        }
        if self.galaxies is not None and np.isfinite(host_ra[0]):
            matched = self.galaxies.match(host_ra[0], host_dec[0], found.a * scale)
            if matched:
                matched["matched_probability"] = found.p_host * matched.pop("matched_share")
            row |= matched
        return {name: _known(value) for name, value in row.items()}


def _numbers(column: pa.ChunkedArray) -> Floats:
    return np.asarray(pc.fill_null(column, float("nan")), dtype=np.float64)


def _known(value: object) -> object:
    """None for NaN: columns hold nulls."""
    is_nan = isinstance(value, float | np.floating) and np.isnan(value)
    return None if is_nan else value
