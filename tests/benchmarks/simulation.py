"""Print how fast simulated surveys are listed and drawn on one core."""

import sys
import time

import pyarrow as pa

from catalogtool.inputs.simulated import Format
from catalogtool.surveys import load_survey


def main(names: list[str]) -> None:
    """Measure the named surveys at the number of objects that they simulate by default."""
    for name in names or ["candels", "clash", "sdss", "desi"]:
        survey = load_survey(name)
        source = Format(survey, None)
        started = time.perf_counter()
        table = pa.concat_tables(source.list_objects())
        listed = time.perf_counter()
        source.read(table)
        drawn = time.perf_counter()
        cutouts = table.num_rows * len(survey.bands)
        print(
            f"{name}: listed {table.num_rows / (listed - started):,.0f} objects/s; "
            f"drew {cutouts} cutouts in {drawn - listed:.1f} s, "
            f"{cutouts / (drawn - listed):,.0f} cutouts/s"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
