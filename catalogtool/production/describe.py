"""A plan in words."""

from dataclasses import dataclass

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.config.training import TrainingSpec
from catalogtool.production.domains import DomainInput
from catalogtool.production.plan import Plan
from catalogtool.training.stored import is_stored


@dataclass(frozen=True)
class PlanDescription:
    """What ``--plan`` prints."""

    facts: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]


def describe_plan(plan: Plan) -> PlanDescription:
    """Say what a production would do: objects, bytes, units, memory, models and columns."""
    survey = plan.survey
    manifest = plan.target.manifest
    facts = (
        ("survey", f"{survey.name}: {survey.title}"),
        ("input", _input_text(plan.target)),
        ("bytes to read", _bytes_text(plan.target)),
        ("objects", str(manifest.objects)),
        *_increment(plan),
        ("labelled objects", str(plan.target.manifest.labelled)),
        ("rows per object", str(survey.rows_per_object)),
        ("units", f"{manifest.units} of up to {plan.unit_objects} objects"),
        ("memory per worker", f"about {plan.worker_bytes / 2**20:.0f} MiB"),
        *_models(plan),
        ("output", plan.layout.uri),
    )
    context = plan.context(model_id="", embedding_size=1)
    columns = tuple(
        (kind, ", ".join(column.name for column in load_kind(kind).columns(context)))
        for kind in plan.kinds
    )
    return PlanDescription(facts, columns)


def _input_text(domain: DomainInput) -> str:
    where = domain.format.uri or "no files"
    return f"{domain.format_name} ({where})"


def _bytes_text(domain: DomainInput) -> str:
    if domain.format.uri is None or domain.format.simulated:
        return "0 (cutouts are simulated where they are needed)"
    listed = list(storage.list_files(domain.format.uri))
    files = listed or [storage.file_info(domain.format.uri)]
    total = sum(info.size_bytes for info in files)
    return f"{total / 2**20:.1f} MiB in {len(files)} files"


def _increment(plan: Plan) -> list[tuple[str, str]]:
    if not plan.config.is_increment:
        return []
    night = plan.config.night
    which = f"those of the night {night} that" if night else "those that"
    return [("of these", f"{which} the series has not seen")]


def _models(plan: Plan) -> list[tuple[str, str]]:
    return [*_networks(plan), *_other_models(plan)]


def _networks(plan: Plan) -> list[tuple[str, str]]:
    if plan.config.model is not None and plan.trainings:
        return [("model", f"{plan.trainings[-1].network}, given: {plan.model_uri}")]
    return [(f"model {spec.method}", _model_text(plan, spec)) for spec in plan.trainings]


def _other_models(plan: Plan) -> list[tuple[str, str]]:
    found = []
    if plan.scorer is not None and plan.scorer_uri is not None:
        text = f"{plan.scorer.method} on features of {plan.scorer.objects} objects at most"
        found.append(("scorer", f"{text}, {_state(plan.scorer_uri)}: {plan.scorer_uri}"))
    if plan.hosts is not None and plan.hosts_uri is not None:
        text = f"learns from {plan.hosts.source.survey.name}"
        found.append(("model of hosts", f"{text}, {_state(plan.hosts_uri)}: {plan.hosts_uri}"))
    return found


def _state(uri: str) -> str:
    return "reused" if is_stored(uri) else "to be trained"


def _model_text(plan: Plan, spec: TrainingSpec) -> str:
    uri = plan.layout.model(spec.identity)
    state = _state(uri)
    domain = spec.target or spec.source
    assert domain is not None
    where = "simulated cutouts" if domain.simulated else domain.input_uri
    return f"{spec.network} learns from {domain.survey.name} ({where}), {state}: {uri}"
