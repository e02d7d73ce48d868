"""A log is followed to its end and told once, however often the connection breaks."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from ray.job_submission import JobStatus

from catalogtool.distributed import submit
from catalogtool.distributed.submit import Jobs

LOG = "plan …\npredict …\npredict: done\n"


class Client:
    """Ray's client, whose connections bring so many characters of the log and then break."""

    def __init__(self, breaks: list[int]) -> None:
        self.breaks = breaks

    def get_job_info(self, _job: str) -> SimpleNamespace:
        return SimpleNamespace(status=JobStatus.RUNNING if self.breaks else JobStatus.SUCCEEDED)

    async def tail_job_logs(self, _job: str) -> AsyncIterator[str]:
        """The log comes from its beginning, in pieces that are never the same."""
        end = self.breaks.pop(0) if self.breaks else None
        step = 3 + len(self.breaks)
        for start in range(0, len(LOG[:end]), step):
            yield LOG[:end][start : start + step]
        if end is not None:
            raise RuntimeError("WebSocket connection closed unexpectedly")


@pytest.mark.parametrize("breaks", [[], [10], [0, 14, 14, 5, 27]])
def test_every_character_is_written_once(
    breaks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "_RECONNECT_S", 0)
    jobs = object.__new__(Jobs)  # no cluster is asked
    jobs.address = "http://head:8265"
    jobs._client = Client(list(breaks))
    told: list[str] = []
    jobs.follow("job", told.append)
    assert "".join(told) == LOG
