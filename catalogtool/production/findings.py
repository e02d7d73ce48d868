"""What is known of a run when its catalogs stand."""

from dataclasses import dataclass

from catalogtool.inference.models import RunModels
from catalogtool.layout import RunLayout
from catalogtool.ledger import LedgerTotals
from catalogtool.production.evaluation import Figures
from catalogtool.production.plan import Plan
from catalogtool.production.record import RunRecord
from catalogtool.release.assemble import AssembledCatalog
from catalogtool.release.verify import VerificationReport


@dataclass(frozen=True)
class Findings:
    """Everything that summary, report and commit tell; sums and reports hold one item per kind."""

    plan: Plan
    models: RunModels
    record: RunRecord
    sums: tuple[LedgerTotals, ...]
    catalogs: tuple[AssembledCatalog, ...]
    reports: tuple[VerificationReport, ...]
    evaluated: Figures
    summaries: tuple[AssembledCatalog, ...] = ()
    """Tables of groups of rows, of the kinds that have one."""

    @property
    def run(self) -> RunLayout:
        """Addresses of the run."""
        return self.plan.layout.run(self.record.run_id)
