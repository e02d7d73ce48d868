"""What a model of hosts learns from, and whether its recipe fits the survey."""

import hashlib

from catalogtool import storage
from catalogtool.config._base import canonical_json
from catalogtool.config.run import RunConfig
from catalogtool.errors import ConfigError
from catalogtool.hosts.crossmatch import check_galaxies, galaxy_files
from catalogtool.production.domains import DomainInput, open_domain
from catalogtool.production.fit import alike_scales
from catalogtool.surveys import load_survey
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import HostOptions, Recipe
from catalogtool.training.hosts import HostSpec, load_host_model

_OTHER_SEED = 1_000_003


def plan_hosts(config: RunConfig, recipe: Recipe, target: DomainInput, manifests: str) -> HostSpec:
    """Describe the training of a model of hosts.

    Raises
    ------
    ConfigError
        If a band is not there, or source and target have other pixel scales.
    """
    assert recipe.hosts is not None
    host_band(target.survey, recipe.hosts)
    if config.host_model is not None:
        return load_host_model(storage.normalise(config.host_model)).spec
    is_own = recipe.source_survey == target.survey.name
    survey = target.survey if is_own else load_survey(recipe.source_survey)
    scales = (survey.pixel_scale_arcsec, target.survey.pixel_scale_arcsec)
    if not alike_scales(*scales):
        raise ConfigError(
            f"surveys {survey.name} and {target.survey.name}: their pixels of {scales[0]:g} and "
            f"{scales[1]:g} arcsec differ, and a model of hosts counts in pixels; resample the "
            "cutouts, or name another source_survey"
        )
    source = target
    if not is_own or config.source_input is not None or target.format.simulated:
        survey, uri = _training_fields(survey, config.source_input, recipe.hosts)
        source = open_domain(survey, uri, config.source_labels, manifests, None)
    return HostSpec(
        source=source.to_data(),
        band=host_band(survey, recipe.hosts if is_own else HostOptions()),
        scenes=recipe.hosts.scenes,
        epochs=config.epochs or recipe.training.max_epochs,
        batch_size=recipe.training.batch_size,
        learning_rate=recipe.training.learning_rate,
        seed=config.seed,
    )


def host_band(survey: Survey, options: HostOptions) -> int:
    """Index of the band in which hosts are looked for.

    Raises
    ------
    ConfigError
        If the survey does not have it.
    """
    if options.band is None:
        return 0
    if options.band not in survey.band_names:
        raise ConfigError(
            f"survey {survey.name}: recipes.hosts.band is {options.band!r}; known: "
            f"{', '.join(survey.band_names)}"
        )
    return survey.band_names.index(options.band)


def galaxies_identity(uri: str) -> str:
    """SHA-256 that changes when the galaxies do.

    Raises
    ------
    DataError
        If there are none, or they are no table of galaxies.
    """
    files = galaxy_files(uri)
    check_galaxies(files[0].uri)
    named = [[info.uri, info.identity] for info in files]
    return hashlib.sha256(canonical_json(named).encode()).hexdigest()


def _training_fields(
    survey: Survey, uri: str | None, options: HostOptions
) -> tuple[Survey, str | None]:
    """Simulated fields are as many as are wanted, and other ones than those of a catalog."""
    if uri is not None or survey.host_field is None or survey.input.uri is not None:
        return survey, uri
    field = survey.host_field.model_copy(update={"seed": survey.host_field.seed + _OTHER_SEED})
    return survey.model_copy(update={"host_field": field}), f"simulated_hosts:{options.scenes}"
