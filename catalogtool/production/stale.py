"""Which columns of a finished run an updated model makes old, and what a new run may keep of it."""

from dataclasses import dataclass

from catalogtool import storage
from catalogtool.catalogs import load_kind
from catalogtool.catalogs._common import OBJECT_COLUMNS
from catalogtool.layout import RunLayout
from catalogtool.production.plan import Plan, make_plan
from catalogtool.production.record import RunRecord, identities, read_record
from catalogtool.release._run_facts import read_latest


@dataclass(frozen=True)
class Freshness:
    """Whether the columns of a catalog are what a production of today would write.

    Attributes
    ----------
    kind : str
        Catalog kind.
    columns : tuple of str
        Columns that its model fills.
    reason : str
        Why they are old; empty: they are not.
    """

    kind: str
    columns: tuple[str, ...]
    reason: str


def freshness(run: RunLayout) -> tuple[Freshness, ...]:
    """Judge every catalog of a run by what its settings would lead to today.

    Raises
    ------
    CatalogtoolError
        If the run cannot be read, or its production could not be planned any more.
    """
    record = read_record(run)
    plan = make_plan(record.config)
    return tuple(_judge(plan, record, kind) for kind in record.kinds)


def _judge(plan: Plan, record: RunRecord, kind: str) -> Freshness:
    columns = load_kind(kind).columns(plan.context(model_id=""))
    place = {column.name for column in OBJECT_COLUMNS}
    names = tuple(column.name for column in columns if column.name not in place)
    return Freshness(kind, names, _reason(plan, record, kind))


def _reason(plan: Plan, record: RunRecord, kind: str) -> str:
    if record.manifest_identity != plan.target.manifest.identity:
        return "its inputs or labels have changed"
    found = identities(plan).get(kind)
    if found is None:
        return "its recipe does not make it any more"
    if found != record.identities.get(kind):
        return f"its {load_kind(kind).maker} would be another one today"
    return ""


def kept_parts(plan: Plan) -> tuple[str | None, tuple[str, ...]]:
    """Folder of the newest run of the survey, and the kinds whose parts a new run may take from it.

    Only a run over the same objects in the same units has parts that fit.
    """
    pointer = read_latest(plan.layout, plan.survey.name)
    if pointer is None or not storage.exists(pointer.commit):
        return None, ()
    record = read_record(pointer)
    if record.units != plan.target.manifest.units:
        return None, ()
    fresh = tuple(k for k in plan.kinds if k in record.kinds and not _reason(plan, record, k))
    return (pointer.uri, fresh) if fresh else (None, ())
