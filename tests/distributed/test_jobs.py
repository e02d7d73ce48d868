"""Every kind of job can be started, from a working tree and from an installed package."""

from pathlib import Path
from typing import get_args

import pytest

from catalogtool.distributed.job import run_job
from catalogtool.distributed.submit import _program
from catalogtool.production.handover import JobKind

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_a_kind_of_job_has_a_script_and_knows_its_settings(kind: JobKind, tmp_path: Path) -> None:
    (script,) = _program(kind, uploaded=True)
    assert f'run_job("{kind}", sys.argv[1])' in (ROOT / script).read_text()
    assert _program(kind, uploaded=False)[-1] == kind

    settings = tmp_path / "settings.json"
    settings.write_text('{"survy": "clash"}')
    assert run_job(kind, str(settings)) == 2
