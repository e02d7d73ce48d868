"""The process that the fault tests kill: finish whatever units of a run are missing."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_run import RunShape, make_survey, make_task

from catalogtool.distributed import infer
from catalogtool.distributed.cluster import local_cluster
from catalogtool.ledger import finished_units

SHAPE = RunShape(
    objects=40 * 48,
    unit_objects=48,
    size_pix=32,
    network_options={"widths": (64, 128), "blocks": (1, 1)},
)


def main() -> None:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    task = make_task(folder, make_survey(SHAPE), folder / "images.parquet", SHAPE)
    task = replace(task, run_uri=str(folder / name))
    finished = finished_units(task.run, task.kinds)
    missing = [unit for unit in range(task.manifest.units) if unit not in finished]
    with local_cluster(2):
        infer.run_units(task, missing, 2, lambda _: None, stall_s=60)


if __name__ == "__main__":
    main()
