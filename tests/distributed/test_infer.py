import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest
import ray
from ray import cloudpickle
from small_run import RunShape, make_small_run, part_contents

from catalogtool.distributed import infer
from catalogtool.distributed.cluster import local_cluster
from catalogtool.errors import ClusterError, ConfigError, ManifestError, NoProgressError
from catalogtool.inference import local
from catalogtool.inference.unit import UnitTask
from catalogtool.inputs.manifest import Manifest
from catalogtool.ledger import LedgerLine, finished_units

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    # The classes of this module travel as code: workers cannot import a test module.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with local_cluster(2):
        yield
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> UnitTask:
    return make_small_run(tmp_path_factory.mktemp("run"), RunShape(objects=64, unit_objects=8))


@dataclass(frozen=True)
class TroubledManifest(Manifest):
    """A manifest with one unit that is trouble to whoever reads it."""

    unit: int = 3
    trouble: str = ""

    def read_unit(self, unit: int) -> pa.Table:
        if unit == self.unit:
            if self.trouble == "exit":
                os._exit(1)
            if self.trouble == "hang":
                time.sleep(600)
            raise ManifestError("unit 3 is not what the run began with", unit=unit)
        return super().read_unit(unit)


def troubled(task: UnitTask, trouble: str, run_uri: str) -> UnitTask:
    m = task.manifest
    manifest = TroubledManifest(m.uri, m.identity, m.objects, m.units, trouble=trouble)
    return replace(task, manifest=manifest, run_uri=run_uri)


def test_parts_and_ledger_equal_those_of_one_process(task: UnitTask, tmp_path: Path) -> None:
    lines: list[LedgerLine] = []
    infer.run_units(task, range(8), 2, lines.append)
    alone = replace(task, run_uri=str(tmp_path / "alone"))
    local.run_units(alone, range(8), lambda _: None)
    assert part_contents(task) == part_contents(alone)
    assert sorted(line.unit for line in lines) == list(range(8))
    assert finished_units(task.run, task.kinds) == {line.unit: line for line in lines}


def test_nothing_to_do_starts_nothing(task: UnitTask) -> None:
    infer.run_units(task, [], 2, pytest.fail)


def test_error_of_a_worker_arrives_with_type_sentence_and_context(
    task: UnitTask, tmp_path: Path
) -> None:
    broken = troubled(task, "raise", str(tmp_path))
    with pytest.raises(ManifestError, match=r"^unit 3 is not what the run began with$") as caught:
        infer.run_units(broken, range(8), 2, lambda _: None)
    assert caught.value.context == {"unit": 3}


def test_what_keeps_workers_from_starting_arrives_as_it_is(task: UnitTask, tmp_path: Path) -> None:
    pinned = replace(task, form="float32", run_uri=str(tmp_path))
    local.run_units(pinned, [0], lambda _: None)
    with pytest.raises(ConfigError, match="Leave --form away"):
        infer.run_units(replace(pinned, form="channels_last"), [1], 2, lambda _: None)


def test_unit_that_kills_its_worker_ends_the_run_after_bounded_attempts(
    task: UnitTask, tmp_path: Path
) -> None:
    poisoned = troubled(task, "exit", str(tmp_path))
    with pytest.raises(ClusterError, match=r"unit 3 ended its worker process 3 times") as caught:
        infer.run_units(poisoned, range(8), 2, lambda _: None)
    assert caught.value.context == {"unit": 3}


@pytest.mark.long
def test_run_that_stands_still_ends_and_says_where(task: UnitTask, tmp_path: Path) -> None:
    hanging = troubled(task, "hang", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(NoProgressError, match=r"no unit finished for 40 s; 1 units") as caught:
        infer.run_units(hanging, range(8), 2, lambda _: None, stall_s=40)
    assert caught.value.context["outstanding"] == [3]
    assert "unit 3 since" in str(caught.value)
    assert time.monotonic() - start < 120


@pytest.mark.long
def test_run_after_a_stalled_one_finishes(task: UnitTask, tmp_path: Path) -> None:
    again = replace(task, run_uri=str(tmp_path / "again"))
    infer.run_units(again, range(8), 2, lambda _: None, stall_s=60)
    assert sorted(finished_units(again.run, again.kinds)) == list(range(8))
