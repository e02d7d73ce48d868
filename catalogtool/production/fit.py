"""Whether two surveys, a recipe and a method fit together."""

from catalogtool._discovery import check_name
from catalogtool.adaptation import load_method, read_method_options
from catalogtool.errors import ConfigError
from catalogtool.preprocess.augment import CHANGES
from catalogtool.preprocess.strong import STRONG_CHANGES
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import Recipe, TrainingOptions

_SCALE_TOLERANCE = 1.25
"""Pixel scales whose ratio is at most this are taken to be alike."""


def refuse_unequal_surveys(source: Survey, target: Survey, recipe: Recipe) -> None:
    """Refuse surveys that one network cannot see alike.

    Raises
    ------
    ConfigError
        If classes, mirror images, kind of labels, channels, cutout sizes, bands or pixel scales
        differ, and the recipe does not say what to make of it.
    """
    _refuse_other_labels(source, target)
    mine, yours = (
        (
            s.labels.kind,
            s.network_channels,
            min(recipe.crop_pix or s.cutout_size_pix, s.cutout_size_pix),
        )
        for s in (source, target)
    )
    if mine != yours:
        raise ConfigError(
            f"surveys {source.name} and {target.name} do not fit together: kind of labels, "
            f"channels and cutout size must be equal; found {mine} and {yours}; crop_pix in the "
            "recipe takes the same central part of both"
        )
    _refuse_other_bands(source, target, recipe)
    _refuse_other_scale(source, target, recipe)


def _refuse_other_labels(source: Survey, target: Survey) -> None:
    names = f"surveys {source.name} and {target.name}"
    here, there = (set(survey.labels.classes) for survey in (source, target))
    if here != there:
        only = [
            f"{', '.join(sorted(classes))} only in {name}"
            for name, classes in ((source.name, here - there), (target.name, there - here))
            if classes
        ]
        raise ConfigError(
            f"{names} do not fit together: their classes differ: {'; '.join(only)}; declare the "
            "same labels.classes in both, and let values leave out what is in one of them only"
        )
    if source.labels.classes != target.labels.classes:
        raise ConfigError(
            f"{names} do not fit together: they have the same classes in another order; write "
            f"labels.classes of both as {', '.join(target.labels.classes)}"
        )
    mine, yours = ((s.labels.mirrored, s.labels.flips) for s in (source, target))
    if mine != yours:
        raise ConfigError(
            f"{names} do not fit together: labels.mirrored and labels.flips must be equal in "
            f"both; found {mine} and {yours}"
        )


def _refuse_other_bands(source: Survey, target: Survey, recipe: Recipe) -> None:
    """A network that sees one band at a time takes any; one that sees several needs each's like."""
    if target.labels.per_band:
        return
    stated = {name: recipe.band_mapping.get(name, name) for name in target.band_names}
    pairs = zip(source.band_names, target.band_names, strict=True)
    unlike = [(mine, yours) for mine, yours in pairs if stated[yours] != mine]
    if unlike:
        found = ", ".join(f"{mine} and {yours}" for mine, yours in unlike)
        mapping = ", ".join(f'{yours} = "{mine}"' for mine, yours in unlike)
        raise ConfigError(
            f"surveys {source.name} and {target.name} have different bands in the same channel: "
            f"{found}; list the bands in the same order, or state in the recipe of {target.name} "
            f"which stand in for which: band_mapping = {{ {mapping} }}"
        )


def _refuse_other_scale(source: Survey, target: Survey, recipe: Recipe) -> None:
    mine, yours = source.pixel_scale_arcsec, target.pixel_scale_arcsec
    if recipe.rescaled or alike_scales(mine, yours):
        return
    raise ConfigError(
        f"surveys {source.name} ({mine:g} arcsec per pixel) and {target.name} ({yours:g}): pixel "
        f"scales differ by more than {_SCALE_TOLERANCE - 1:.0%}; resample the cutouts of one of "
        f"them, or state rescaled = true in the recipe of {target.name} if they are cut in "
        "proportion to each object"
    )


def alike_scales(mine: float, yours: float) -> bool:
    """Whether two pixel scales are near enough to be taken for one."""
    return max(mine / yours, yours / mine) <= _SCALE_TOLERANCE


def refuse_unusable_changes(survey: Survey, options: TrainingOptions) -> None:
    """Refuse changes of cutouts that there are not, or that labels do not survive.

    Raises
    ------
    ConfigError
        With the key of the recipe and the remedy.
    """
    for change in options.augment:
        check_name(change, CHANGES, "augmentations")
    for change in options.strong:
        check_name(change, STRONG_CHANGES, "strong augmentations")
    if "flip" in options.augment and not survey.labels.flips:
        raise ConfigError(
            f"survey {survey.name}: augment has flip, and labels.flips = false says that a mirror "
            "image has no class; take flip out of augment in the recipe's trainings, or say in "
            "labels.mirrored which class it has"
        )


def refuse_single_views(survey: Survey, options: TrainingOptions, method: str) -> None:
    """Refuse a method that compares two views of a cutout, where nothing tells them apart.

    Raises
    ------
    ConfigError
        With the key of the recipe and the strong changes that there are.
    """
    if load_method(method).wants_strong and not options.strong:
        raise ConfigError(
            f"survey {survey.name}: method {method} compares weak and strong views of a cutout; "
            f"name strong changes in the recipe's training.strong: {', '.join(STRONG_CHANGES)}"
        )


def options_for(method: str, recipe: Recipe) -> TrainingOptions:
    """How a recipe trains a method, without what has no effect on that method."""
    domains, wants_strong = load_method(method).domains, load_method(method).wants_strong
    sees_target = any(domain != "source" for domain in domains)
    options = recipe.training if sees_target else recipe.source_training
    changes = {
        "domain_norm": options.domain_norm and sees_target and "source" in domains,
        "strong": options.strong if wants_strong else (),
    }
    return options.model_copy(update=changes)


def method_options_for(method: str, recipe: Recipe) -> dict[str, object]:
    """Options of a recipe for a method: they are those of its own method alone.

    Raises
    ------
    ConfigError
        If the method does not know an option.
    """
    options = recipe.method_options if method == recipe.method else {}
    read_method_options(method, options)
    return options
