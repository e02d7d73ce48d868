"""Checks of a survey file that need to know what else there is."""

from collections.abc import Callable

from catalogtool.adaptation import method_names, read_method_options
from catalogtool.anomaly import read_method_options as read_anomaly_options
from catalogtool.catalogs import load_kind
from catalogtool.errors import ConfigError
from catalogtool.inputs import load_format
from catalogtool.networks import build_network, with_metadata
from catalogtool.preprocess.preparation import Preparation
from catalogtool.production.fit import refuse_single_views, refuse_unusable_changes
from catalogtool.production.hosts import host_band
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import Recipe


def check_survey_names(survey: Survey, where: str) -> None:
    """Refuse a survey that names formats, kinds, networks, methods or surveys that are not there.

    Parameters
    ----------
    survey : Survey
        A loaded survey.
    where : str
        File or name for the messages.

    Raises
    ------
    ConfigError
        One line per mistake.
    """
    mistakes = _mistakes("input.format", load_format, survey.input.format)
    for index, recipe in enumerate(survey.recipes):
        key = f"recipes.{index}"
        for kind in recipe.kinds:
            mistakes += _mistakes(f"{key}.kinds", load_kind, kind)
        if recipe.hosts is not None:
            mistakes += _mistakes(f"{key}.hosts", host_band, survey, recipe.hosts)
            continue
        mistakes += _mistakes(f"{key}.network", _build, survey, recipe)
        mistakes += _mistakes(
            f"{key}.method", read_method_options, recipe.method, recipe.method_options
        )
        anomaly = recipe.anomaly
        mistakes += _mistakes(
            f"{key}.anomaly", read_anomaly_options, anomaly.method, anomaly.options
        )
        for name in ("source_training", "training"):
            options = getattr(recipe, name)
            mistakes += _mistakes(f"{key}.{name}", refuse_unusable_changes, survey, options)
        mistakes += _mistakes(f"{key}.training", _refuse_single_views, survey, recipe)
        if recipe.source_survey != survey.name:
            mistakes += _mistakes(f"{key}.source_survey", load_survey, recipe.source_survey)
    if mistakes:
        raise ConfigError("\n".join(f"{where}: {line}" for line in mistakes), count=len(mistakes))


def _refuse_single_views(survey: Survey, recipe: Recipe) -> None:
    if recipe.method in method_names():
        refuse_single_views(survey, recipe.training, recipe.method)


def _build(survey: Survey, recipe: Recipe) -> object:
    size = recipe.crop_pix or survey.cutout_size_pix
    if size > survey.cutout_size_pix:
        raise ConfigError(
            f"crop_pix is {size}, and cutouts have {survey.cutout_size_pix} pixels; crop to less"
        )
    preparation = Preparation(size, recipe.stretch, recipe.metadata)
    return build_network(
        recipe.network,
        with_metadata(recipe.network_options, recipe.metadata),
        channels=preparation.channels(survey.network_channels),
        classes=len(survey.labels.classes),
        size_pix=size,
    )


def _mistakes(key: str, attempt: Callable[..., object], *args: object) -> list[str]:
    try:
        attempt(*args)
    except ConfigError as error:
        return [f"{key}: {error}"]
    return []
