"""The alerts of a simulated night: their classes, and where on the sky these are found."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from catalogtool.inputs._alerts.sky import ecliptic, galactic
from catalogtool.inputs._simulation.candidates import (
    BLOCK,
    BOGUS_KINDS,
    Candidates,
    draw_kinds,
    draw_snr,
)
from catalogtool.inputs._simulation.field import Floats, draw_positions, open_stream
from catalogtool.inputs._simulation.satellites import SATELLITES
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._simulated import AlertClass, CandidateKind, DifferenceImaging

CLASSES: tuple[AlertClass, ...] = ("agn", "asteroid", "bogus", "satellite", "sn", "vs")
"""What alerts can be of; a survey may do without ``satellite``, whose alerts are bogus then."""

_KINDS: dict[AlertClass, tuple[CandidateKind, ...]] = {
    "agn": ("nuclear",),
    "asteroid": ("moving",),
    "bogus": tuple(kind for kind in BOGUS_KINDS if kind not in SATELLITES),
    "satellite": tuple(SATELLITES),
    "sn": ("transient", "hostless"),
    "vs": ("variable_star",),
}
_FRAME: dict[CandidateKind, Callable[[Floats, Floats], tuple[Floats, Floats]]] = {
    "moving": ecliptic,
    "variable_star": galactic,
}
_THICKNESS_DEG = 12.0  # latitude at which those are e times rarer
_PLACES = 8  # to choose from


def kinds_of(name: str, classes: Sequence[str]) -> tuple[CandidateKind, ...]:
    """Kinds of candidates that a class has, in a survey with some classes."""
    alert_class: AlertClass = next(known for known in CLASSES if known == name)
    is_all_else = name == "bogus" and "satellite" not in classes
    return _KINDS[alert_class] + (_KINDS["satellite"] if is_all_else else ())


def class_of(kind: str, classes: Sequence[str]) -> str:
    """Class of a kind of candidate, in a survey with some classes."""
    return next(name for name in classes if kind in kinds_of(name, classes))


def draw_alerts(survey: Survey, block: int) -> Candidates:
    """Draw the alerts ``block * BLOCK`` to ``(block + 1) * BLOCK - 1``.

    Notes
    -----
    Of every block, as exactly as whole numbers allow, `labelled_share` has labels; classes come in
    the shares of `labelled_classes` among those and of `classes` among the others. Asteroids are
    found near the ecliptic and variable stars near the Galactic plane, if the field has any.
    """
    settings = survey.difference_imaging
    assert settings is not None
    classes = survey.labels.classes
    rng = open_stream(survey.name, settings.seed, "alerts", block)
    labelled = round(BLOCK * settings.labelled_share)
    place = rng.permutation(BLOCK)
    is_labelled = place < labelled
    kind = np.empty(BLOCK, dtype="<U16")
    names = np.where(
        is_labelled,
        _class_at((place + rng.random()) / max(labelled, 1), settings.labelled_classes, classes),
        _class_at(
            (place - labelled + rng.random()) / max(BLOCK - labelled, 1), settings.classes, classes
        ),
    )
    kind = np.empty(BLOCK, dtype="<U16")
    for name in CLASSES:
        if name in classes:
            drawn = draw_kinds(settings, kinds_of(name, classes), rng)
            kind[names == name] = drawn[names == name]
    ra, dec = _draw_places(settings, kind, rng)
    snr = draw_snr(settings, kind, rng)
    return Candidates(kind=kind, is_labelled=is_labelled, ra=ra, dec=dec, snr=snr)


def _class_at(
    turn: Floats, shares: dict[AlertClass, float], classes: Sequence[str]
) -> npt.NDArray[np.str_]:
    """Class at a place between 0 and 1 along all classes, each as long as its share."""
    names = [name for name in CLASSES if name in classes]
    ends = np.cumsum([shares.get(name, 0.0) for name in names])
    found = np.searchsorted(ends, turn * ends[-1], side="right")
    named: npt.NDArray[np.str_] = np.array(names)[np.clip(found, 0, len(names) - 1)]
    return named


def _draw_places(
    settings: DifferenceImaging, kind: npt.NDArray[np.str_], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Positions in the field, drawn by latitude where a kind has a plane of its own."""
    ra, dec = draw_positions(settings, len(kind) * _PLACES, rng)
    preference = rng.gumbel(size=(len(kind), _PLACES))
    for name, frame in _FRAME.items():
        here = kind == name
        _, latitude = frame(ra, dec)
        preference[here] -= np.abs(latitude.reshape(preference.shape)[here]) / _THICKNESS_DEG
    chosen = preference.argmax(axis=1) + _PLACES * np.arange(len(kind))
    return ra[chosen], dec[chosen]
