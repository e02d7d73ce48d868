"""Real ZTF alerts for comparing networks: pixels, metadata, weak classes and scores."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
from sklearn.model_selection import StratifiedGroupKFold

CLASSES = ("asteroid", "SN", "VS", "AGN")
FOLDS = 5
METADATA = (
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "sgscore3", "distpsnr3", "isdiffpos"),
    *("fwhm", "magpsf", "sigmapsf", "diffmaglim", "classtar", "ndethist", "ncovhist"),
    *("non_detections", "chinr", "sharpnr"),
)
"""What the stamp classifier in operation sees, without positions."""
AUXILIARY = (
    *("rb", "drb", "isdiffpos", "fwhm", "magpsf", "sigmapsf", "diffmaglim", "classtar", "elong"),
    *("aimage", "nneg", "sumrat", "scorr", "chipsf", "magnr", "distnr", "chinr", "sharpnr"),
    *("sgscore1", "distpsnr1", "sgscore2", "distpsnr2", "srmag1", "sgmag1", "simag1", "maggaia"),
    *("neargaia", "ndethist", "ncovhist", "non_detections"),
)
"""What the survey says of every alert, labelled or not."""
_MISSING = -999.0
_NAN, _FILL = -32768, -32767  # of the quantised pixels


@dataclass(frozen=True)
class Alerts:
    """N alerts with cutouts.

    Attributes
    ----------
    images : ndarray, shape (N, 3, 63, 63), float32
        Science, template, difference in counts; NaN where unknown.
    columns : dict of ndarray, shape (N,), float64
        Facts by name; NaN where unknown.
    weak_class : ndarray, shape (N,), str
        Empty where unknown.
    object_id : ndarray, shape (N,), int64
        Same for alerts of the same object.
    names : ndarray, shape (N,), str
        The survey's names of the objects.
    """

    images: np.ndarray
    columns: dict[str, np.ndarray]
    weak_class: np.ndarray
    object_id: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.object_id)

    def table(self, names: tuple[str, ...]) -> np.ndarray:
        """Facts, shape (N, F), float32."""
        return np.stack([self.columns[name] for name in names], axis=1).astype(np.float32)


def read_alerts(data: Path) -> Alerts:
    """All alerts of ``ztf-alerts``."""
    with h5py.File(data / "ztf-alerts/stamps.h5") as file:
        quantised = file["q"][:]
        scale = [file[name][:][:, :, None, None] for name in ("offset", "step")]
    images = (scale[0] + scale[1] * quantised).astype(np.float32)
    images[np.isin(quantised, (_NAN, _FILL))] = np.nan
    table = pq.read_table(data / "ztf-alerts/candidates.parquet")
    columns = {}
    for name in {*METADATA, *AUXILIARY} - {"non_detections", "isdiffpos"}:
        values = table.column(name).to_numpy().astype(float)
        columns[name] = np.where(values == _MISSING, np.nan, values)
    columns["isdiffpos"] = np.array(table.column("isdiffpos").to_pylist()) == "f"
    columns["non_detections"] = columns["ncovhist"] - columns["ndethist"]
    names = np.array(table.column("objectId").to_pylist())
    _, object_id = np.unique(names, return_inverse=True)
    weak_class = np.array(table.column("weak_class").to_pylist())
    return Alerts(images, columns, weak_class, object_id.astype(np.int64), names)


def read_labelled(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cutouts with classes of ALeRCE, one per object: pixels, classes and the objects' names."""
    file = np.load(data / "alerce-labelled-stamps/stamps.npz")
    known = np.isin(file["label"], CLASSES)
    return file["stamps"][known], file["label"][known], file["oid"][known]


def folds(labels: np.ndarray, groups: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Test alerts of every fold: classes in equal shares, objects never in two of them."""
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(labels, labels, groups)]


def quantiles(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Ranks of facts among those of some alerts, between -1 and 1; NaN stays.

    Parameters
    ----------
    values : ndarray, shape (N, F)
    known : ndarray, shape (M,), int
        Alerts that the ranks are taken from.
    """
    ranks = np.full(values.shape, np.nan, dtype=np.float32)
    for index, column in enumerate(values.T):
        ordered = np.sort(column[known][np.isfinite(column[known])])
        middle = (np.searchsorted(ordered, column) + np.searchsorted(ordered, column, "right")) / 2
        ranks[:, index] = np.where(np.isfinite(column), 2 * middle / len(ordered) - 1, np.nan)
    return ranks
