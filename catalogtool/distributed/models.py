"""The models of a production: those that are there, and those that have to be made."""

from typing import Any

import ray

from catalogtool.config.scorer import ScorerSpec
from catalogtool.config.training import DomainData
from catalogtool.distributed.cluster import present
from catalogtool.distributed.failures import unwrap
from catalogtool.distributed.train import train_model
from catalogtool.inference.models import RunModels, load_models
from catalogtool.inference.scorers import fit_scorer
from catalogtool.production.clock import Clock
from catalogtool.production.plan import Plan
from catalogtool.training.hosts import HostSpec, train_hosts
from catalogtool.training.model import find_model
from catalogtool.training.stored import is_stored

_MAX_RETRIES = 3


def find_models(plan: Plan) -> RunModels | None:
    """The models of a plan if all are there.

    Raises
    ------
    ModelError
        If one is there and damaged.
    """
    folders = (plan.model_uri, plan.scorer_uri, plan.hosts_uri)
    if all(folder is None or is_stored(folder) for folder in folders):
        return load_models(*folders)
    return None


def make_models(plan: Plan, clock: Clock) -> RunModels:
    """Make the models of a plan that are not there, on the cluster that is connected to.

    Raises
    ------
    CatalogtoolError
        Whatever ended a training.
    """
    _train_network(plan, clock)
    if plan.scorer is not None and plan.scorer_uri is not None and not is_stored(plan.scorer_uri):
        with clock.stage(f"fit {plan.scorer.method}"):
            _finish(
                _fit_scorer, plan.scorer, plan.model_uri, plan.target.to_data(), plan.scorer_uri
            )
    if plan.hosts is not None and plan.hosts_uri is not None and not is_stored(plan.hosts_uri):
        with clock.stage("train hosts"):
            _finish(_train_hosts, plan.hosts, plan.hosts_uri)
    return load_models(plan.model_uri, plan.scorer_uri, plan.hosts_uri)


def _train_network(plan: Plan, clock: Clock) -> None:
    if plan.config.model is not None:
        return
    for spec in plan.trainings:
        uri = plan.layout.model(spec.identity)
        model = find_model(uri)
        if model is not None:
            clock.progress.log(f"model {model.model_id} is reused")
            continue
        with clock.stage(f"train {spec.method}"):
            workers = plan.config.train_workers or max(1, present("GPU"))
            train_model(spec, uri, workers, clock.progress)


def _finish(task: Any, *args: object) -> None:  # noqa: ANN401 - a remote function
    """Run a task somewhere on the cluster, and raise what it raises."""
    try:
        ray.get(task.remote(*args))
    except Exception as error:
        found = unwrap(error)
        if found is error:
            raise
        raise found from error


@ray.remote(num_cpus=1, max_retries=_MAX_RETRIES)
def _fit_scorer(spec: ScorerSpec, network_uri: str, domain: DomainData, uri: str) -> None:
    fit_scorer(spec, network_uri, domain, uri)


@ray.remote(num_cpus=1, max_retries=_MAX_RETRIES)
def _train_hosts(spec: HostSpec, uri: str) -> None:
    train_hosts(spec, uri)
