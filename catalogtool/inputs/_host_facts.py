"""What an input may say of the hosts of its transients, and of the orientation of its cutouts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalogtool.hosts.sky import ORIENTATION_FACTS
from catalogtool.inputs.labels import read_label_rows
from catalogtool.surveys._definition import Survey

HOST_FACTS = pa.schema(
    [
        pa.field("host_ra", pa.float64()),  # ICRS degrees; null where unknown, or there is none
        pa.field("host_dec", pa.float64()),
        pa.field("is_hostless", pa.bool_()),
        pa.field("host_radius_arcsec", pa.float64()),  # along the major axis, of simulated hosts
    ]
)

_KNOWN = ("host_ra", "host_dec", "is_hostless")


def wants_host_facts(survey: Survey) -> bool:
    """Whether a survey looks for hosts; for others nobody would read these facts."""
    return any(recipe.hosts is not None for recipe in survey.recipes)


@dataclass(frozen=True)
class HostLabels:
    """Hosts that a label table names, by the names of the transients."""

    rows: Mapping[str, dict[str, Any]]

    @classmethod
    def read(cls, uri: str | None, survey: Survey) -> Self:
        """Read the columns ``host_ra``, ``host_dec`` (degrees) and ``is_hostless``, if there.

        Raises
        ------
        LabelError
            If the table cannot be read.
        """
        if uri is None:
            return cls({})
        names, table = read_label_rows(uri, survey)
        columns = [name for name in _KNOWN if name in table.column_names]
        values = table.select(columns).to_pylist()
        return cls({name.source_id: row for name, row in zip(names, values, strict=True)})

    def facts(
        self, source_ids: list[str], orientations: list[npt.NDArray[np.float64] | None]
    ) -> pa.Table:
        """Facts of some objects, null where unknown.

        Parameters
        ----------
        source_ids : list of str
        orientations : list of ndarray of shape (2, 2), or None
            As `catalogtool.hosts.sky.Orientation` has them.
        """
        schema = pa.unify_schemas([HOST_FACTS, ORIENTATION_FACTS])
        rows = []
        for source_id, matrix in zip(source_ids, orientations, strict=True):
            row = dict(self.rows.get(source_id, {}))
            if matrix is not None:
                row |= dict(zip(ORIENTATION_FACTS.names, matrix.ravel().tolist(), strict=True))
            rows.append(row)
        return pa.Table.from_pylist(rows, schema=schema)
