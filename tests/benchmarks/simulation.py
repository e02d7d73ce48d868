"""Print how fast simulated surveys are listed and drawn on one core, and packets written."""

import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from catalogtool.inputs import open_input_format
from catalogtool.inputs._simulation.night import Night, write_night
from catalogtool.progress import Progress
from catalogtool.surveys import Survey, load_survey

PACKETS, SCENES = 5000, 100


def main(names: list[str]) -> None:
    """Measure the named surveys at the number of objects that they simulate by default."""
    for name in names or ["candels", "clash", "sdss", "desi", "mock_ztf", "mock_alerts"]:
        survey = load_survey(name)
        source = open_input_format(survey, None)
        started = time.process_time()
        table = pa.concat_tables(source.list_objects())
        listed = time.process_time()
        source.read(table.slice(0, 1000))
        drawn = time.process_time()
        cutouts = min(table.num_rows, 1000) * len(survey.bands)
        print(
            f"{name}: listed {table.num_rows / (listed - started):,.0f} objects/s; "
            f"drew {cutouts} cutouts in {drawn - listed:.1f} s, "
            f"{cutouts / (drawn - listed):,.0f} cutouts/s"
        )
        if survey.input.format == "simulated_alerts":
            write_packets(survey)


def write_packets(survey: Survey) -> None:
    """Measure packets of scenes that all differ, and of a few that are shown again."""
    for count, distinct in ((SCENES, SCENES), (PACKETS, SCENES)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "night.tar.gz"
            started = time.process_time()
            write_night(Night(survey, count, distinct), str(path), Progress())
            seconds = time.process_time() - started
            print(
                f"{survey.name}: wrote {count} packets of {distinct} scenes, "
                f"{path.stat().st_size / count:,.0f} bytes each, {count / seconds:,.0f} packets/s"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
