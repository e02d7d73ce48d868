"""Alert packets of any survey: from files and archives to cutouts, facts and light curves."""

from catalogtool.inputs._alerts.format import HISTORY_SCHEMA, AlertFormat

__all__ = ["HISTORY_SCHEMA", "AlertFormat"]
