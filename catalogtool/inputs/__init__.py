"""Input formats, one per file, and how the right one is found."""

from typing import cast

from catalogtool import storage
from catalogtool._discovery import load_module, module_names
from catalogtool.errors import ConfigError
from catalogtool.inputs._base import Format
from catalogtool.surveys._definition import Survey

_NOT_FORMATS = ("labels", "manifest")


def format_names() -> tuple[str, ...]:
    """Names of the input formats, sorted."""
    return tuple(name for name in module_names(__name__) if name not in _NOT_FORMATS)


def load_format(name: str) -> type[Format]:
    """Class of an input format by its name."""
    return cast("type[Format]", load_module(__name__, name).Format)


def address_of(uri: str) -> str:
    """Absolute form of an input's URI; a simulation's word stays as it is.

    Raises
    ------
    StorageError
        If the scheme is not supported.
    """
    return uri if is_simulation(uri) else storage.normalise(uri)


def is_simulation(uri: str) -> bool:
    """Whether a URI asks for simulated objects."""
    forms = (load_format(name) for name in format_names())
    return any(form.simulated and form.recognises(uri) for form in forms)


def open_input_format(survey: Survey, uri: str | None, labels_uri: str | None = None) -> Format:
    """Open a survey's own input, or another one whose format is recognised.

    Parameters
    ----------
    survey : Survey
        The survey whose objects are listed.
    uri : str or None
        Where the input is; None takes what the survey file says.
    labels_uri : str or None
        Table of labels that joins the objects by name.

    Raises
    ------
    ConfigError
        If no format recognises the URI, or there is none.
    """
    labels_uri = storage.normalise(labels_uri) if labels_uri else None
    if uri is None:
        form = load_format(survey.input.format)
        if survey.input.uri is None and not form.simulated:
            raise ConfigError(
                f"survey {survey.name}: has no input of its own and none was given; name it with "
                "--input, or with --source-input where another survey learns from it"
            )
        return form(survey, survey.input.uri, labels_uri)
    uri = address_of(uri)
    # The survey's own format first: a table of alerts is a table of images as well.
    for name in (survey.input.format, *format_names()):
        if load_format(name).recognises(uri):
            return load_format(name)(survey, uri, labels_uri)
    raise ConfigError(
        f"{uri}: no input format recognises this, or nothing is there; known: "
        f"{', '.join(format_names())}. Expected a Parquet file with images, or a folder (or "
        "prefix) of FITS cutouts or of alert packets (.avro, .tar.gz)."
    )
