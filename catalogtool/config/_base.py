"""Frozen settings that refuse unknown keys, and loaders that report every mistake at once."""

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalogtool import __version__
from catalogtool.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Of a survey, a class, a band, or a file that is a registration."""


class Settings(BaseModel):
    """Base of all settings: frozen, typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values of all settings, units as text."""
        return self.model_dump(mode="json")


class Specification(Settings):
    """A complete description of something that is made; its hash finds again what was made."""

    code_version: str = __version__

    @property
    def identity(self) -> str:
        """SHA-256 over all that matters."""
        return hashlib.sha256(canonical_json(self.that_matters()).encode()).hexdigest()

    def that_matters(self) -> dict[str, Any]:
        """JSON values that decide what is made; all, unless a description knows better."""
        return self.to_json()


S = TypeVar("S", bound=Settings)


def load_toml(model: type[S], path: Path) -> S:
    """Read settings from a TOML file.

    Parameters
    ----------
    model : type
        The settings class.
    path : Path
        File to read.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, or holds mistakes: one line each, with the file,
        the key and what was expected.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_toml(model, data, where=str(path))


def parse_toml(model: type[S], data: bytes, where: str) -> S:
    """Check the content of a TOML file against a settings class.

    Raises
    ------
    ConfigError
        As of `load_toml`; each line begins with `where`.
    """
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: is not valid TOML: {error}") from error
    return build_settings(model, values, where=where)


def build_settings(model: type[S], values: object, where: str) -> S:
    """Check values against a settings class and report all mistakes together.

    Raises
    ------
    ConfigError
        One line per mistake: `where`, the key, and what was expected.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_mistake(where, dict(detail)) for detail in error.errors()]
        raise ConfigError("\n".join(lines), where=where, count=len(lines)) from None


def _mistake(where: str, detail: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "(file)"
    text = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        text = "is not a known key; remove it or correct its spelling"
    elif detail["type"] == "missing":
        text = "is missing; give it"
    return f"{where}: {key}: {text}"


def canonical_json(value: object) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
