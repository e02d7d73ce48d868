"""The two surveys of a production: their inputs, opened, and their objects, listed."""

import math
from dataclasses import dataclass

from catalogtool.config.training import DomainData
from catalogtool.errors import FlaggedShareError, LabelError
from catalogtool.inputs import open_input_format
from catalogtool.inputs._base import Format
from catalogtool.inputs.manifest import Manifest, build_manifest
from catalogtool.production.fit import refuse_unequal_surveys
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import Recipe

UNIT_CUTOUTS = 256
"""Network inputs per unit: some seconds of work on a core."""


@dataclass(frozen=True)
class DomainInput:
    """A survey's opened input and its manifest."""

    survey: Survey
    format: Format
    format_name: str
    manifest: Manifest

    @property
    def has_labels(self) -> bool:
        """Whether any object has a label."""
        return self.manifest.labelled > 0

    def to_data(self) -> DomainData:
        """Description that travels to workers and into records."""
        return DomainData(
            survey=self.survey,
            input_format=self.format_name,
            input_uri=self.format.uri,
            labels_uri=self.format.labels_uri,
            manifest_uri=self.manifest.uri,
            manifest_identity=self.manifest.identity,
        )


def objects_per_unit(survey: Survey, asked: int | None) -> int:
    """Objects per unit of work: those that were asked for, or enough for some seconds."""
    return asked or max(1, math.ceil(UNIT_CUTOUTS / survey.rows_per_object))


def open_domain(
    survey: Survey,
    uri: str | None,
    labels: str | None,
    manifests: str,
    unit_objects: int | None,
) -> DomainInput:
    """Open a survey's input and list its objects.

    Parameters
    ----------
    survey : Survey
        Says where cutouts and labels are if `uri` and `labels` do not.
    uri, labels : str or None
        Address of the cutouts, and of the table that joins labels to them.
    manifests : str
        Folder for the list of objects.
    unit_objects : int or None
        Objects per unit of work; None: enough for some seconds.

    Raises
    ------
    DataError
        If the input cannot be listed.
    """
    source = open_input_format(survey, uri, labels)
    objects = objects_per_unit(survey, unit_objects)
    format_name = type(source).__module__.rsplit(".", 1)[-1]
    manifest = build_manifest(source, manifests, objects)
    return DomainInput(survey, source, format_name, manifest)


def open_source(
    recipe: Recipe, target: DomainInput, uri: str | None, labels: str | None, manifests: str
) -> DomainInput:
    """The labelled survey: another one, or the target where that has labels of its own."""
    is_own = recipe.source_survey == target.survey.name
    if is_own and uri is None and target.has_labels:
        return target
    survey = target.survey if is_own else load_survey(recipe.source_survey)
    refuse_unequal_surveys(survey, target.survey, recipe)
    return open_domain(survey, uri, labels, manifests, None)


def refuse_unplaced(target: DomainInput, limit: float) -> None:
    """Refuse early what the ledger would refuse late: too many objects without a position."""
    objects = target.manifest.objects
    unplaced = target.manifest.unplaced
    if unplaced < objects and unplaced <= limit * objects:
        return
    source = target.survey.input
    raise FlaggedShareError(
        f"{target.format.uri}: {unplaced} of {objects} objects have no position; a catalog needs "
        f"one of all but {limit:.1%} (--max-flagged). Give --labels a table with the columns "
        f"{source.id_column}, {source.ra_column} and {source.dec_column} in degrees, or cutouts "
        "with a celestial WCS; files that cannot be read have none",
        unplaced=unplaced,
    )


def require_labels(domain: DomainInput, method: str, remedy: str) -> None:
    """Refuse a survey without labels for a method that learns from them.

    Raises
    ------
    LabelError
        With the remedy.
    """
    if domain.has_labels:
        return
    raise LabelError(
        f"{domain.format.uri or domain.survey.name}: no object has a label, but the method "
        f"{method} learns from labels; {remedy}"
    )
