"""Quantities in configuration: written with a unit, checked for their dimension, kept as text.

``"0.065 arcsec"`` is an angle; a bare ``0.065`` is refused, because its unit would live only in
somebody's head.
"""

from typing import Annotated, Any

from astropy import units as u
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def _quantity_of(dimension: u.UnitBase, example: str) -> Any:  # noqa: ANN401 - an annotated type
    def parse(value: object) -> u.Quantity:
        if isinstance(value, u.Quantity):
            quantity = value
        elif isinstance(value, str):
            quantity = _parse_text(value, example)
        else:
            raise ValueError(f"needs a number with a unit, such as {example!r}; got {value!r}")
        if not quantity.isscalar or not quantity.unit.is_equivalent(dimension):
            raise ValueError(f"needs a unit like that of {example!r}; got {str(value)!r}")
        return quantity

    return Annotated[
        u.Quantity,
        BeforeValidator(parse),
        PlainSerializer(lambda q: f"{q.value:.17g} {q.unit.to_string()}", return_type=str),
        WithJsonSchema({"type": "string", "examples": [example]}),
    ]


def _parse_text(text: str, example: str) -> u.Quantity:
    try:
        quantity = u.Quantity(text)
    except (TypeError, ValueError):
        raise ValueError(f"needs a number with a unit, such as {example!r}; got {text!r}") from None
    if quantity.unit == u.dimensionless_unscaled:
        raise ValueError(f"needs a unit, such as {example!r}; got {text!r}")
    return quantity


Angle = _quantity_of(u.arcsec, "0.065 arcsec")
Length = _quantity_of(u.micron, "1.54 micron")
Magnitude = _quantity_of(u.mag, "25.96 mag")
