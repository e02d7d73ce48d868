import pytest
import ray.exceptions as ray_errors
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from catalogtool.distributed.failures import unwrap
from catalogtool.errors import ClusterError, StorageError


def raised(error: BaseException, cause: BaseException) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_our_own_error_survives_any_wrapping_with_its_context() -> None:
    ours = StorageError("s3://b/k: does not exist", missing=True)
    wrapped = raised(RuntimeError("outer"), raised(ValueError("inner"), ours))
    assert unwrap(wrapped) is ours


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ray_errors.OutOfMemoryError("killed"), "fewer --workers or smaller units"),
        (ray_errors.ActorDiedError(), "finished units are kept"),
        (ConnectionError("refused"), "cannot be reached"),
    ],
)
def test_failures_of_ray_become_cluster_errors_with_a_remedy(error: Exception, remedy: str) -> None:
    found = unwrap(raised(RuntimeError("outer"), error))
    assert isinstance(found, ClusterError)
    assert remedy in str(found)


def test_bugs_stay_what_they_are() -> None:
    bug = KeyError("p_spiral")
    assert unwrap(raised(RuntimeError("outer"), bug)) is bug


def test_a_training_worker_that_died_is_a_cluster_error() -> None:
    death = WorkerHealthCheckFailedError("health", ray_errors.ActorDiedError())
    assert isinstance(unwrap(death), ClusterError)
