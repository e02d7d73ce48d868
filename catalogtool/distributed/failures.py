"""Ray's failures as our own: one function, so that no caller needs to know Ray's classes."""

import ray.exceptions as ray_errors

from catalogtool.errors import CatalogtoolError, ClusterError

_REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (
        ray_errors.OutOfMemoryError,
        "a worker ran out of memory; use fewer --workers or smaller units",
    ),
    (
        ray_errors.ObjectStoreFullError,
        "Ray's object store is full; free /dev/shm or use fewer --workers",
    ),
    (
        ray_errors.AuthenticationError,
        "the cluster refused the token; set RAY_AUTH_MODE=token and its own RAY_AUTH_TOKEN",
    ),
    (
        ray_errors.NodeDiedError,
        "a machine of the cluster was lost; run again, finished units are kept",
    ),
    (
        ray_errors.RayActorError,
        "worker processes died again and again; see the system log; finished units are kept",
    ),
    (
        ray_errors.WorkerCrashedError,
        "a worker process died; run again, finished units are kept",
    ),
    (
        ConnectionError,
        "the cluster cannot be reached; check that it runs and that the address is right",
    ),
)

_INNER = ("cause", "health_check_failure")
"""Where Ray Core and Ray Train keep the error inside an error."""
_ADDED_BY_RAY_DATA = "\nFailed to apply UDF transform"


def unwrap(error: BaseException) -> BaseException:
    """Find what really happened inside an error that came through Ray.

    Returns
    -------
    BaseException
        The original error where it is one of ours, message and context unchanged; a `ClusterError`
        with a remedy where Ray itself failed; otherwise the innermost error, a bug with its own
        traceback.
    """
    chain = _causes(error)
    for cause in reversed(chain):
        # Ray raises a class that is both the error's and its own; the original is further in.
        if isinstance(cause, CatalogtoolError) and not isinstance(cause, ray_errors.RayError):
            cause.args = (str(cause).split(_ADDED_BY_RAY_DATA, 1)[0],)
            return cause
        for kind, remedy in _REMEDIES:
            if isinstance(cause, kind):
                return ClusterError(f"{remedy}\n{_sentence(cause)}", ray=type(cause).__name__)
    return chain[-1]


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    following: object = error
    while isinstance(following, BaseException) and following not in chain:
        chain.append(following)
        inner = (getattr(following, name, None) for name in _INNER)
        following = next(filter(None, inner), following.__cause__)
    return chain


def _sentence(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
