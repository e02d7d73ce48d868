"""The host of one transient: the most probable source, or what the network says where none is."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalogtool.hosts.association import Association, describe_field, scatter
from catalogtool.hosts.sources import Sources, directional_radius, separation_pix

Floats = npt.NDArray[np.float64]

_ELLIPSE = 3.0
"""Axes of a source's isophote in units of its root-mean-square axes."""


@dataclass(frozen=True)
class Found:
    """What is known of the host of one transient; lengths and places in pixels.

    Attributes
    ----------
    host, network, second : ndarray, shape (2,)
        Offsets x and y from the transient: of the host, of the votes' mean, and of the second
        candidate (NaN without one).
    nearest, lightest : ndarray, shape (2,)
        Offsets of what simpler rules take for the host: the source with the smallest separation,
        and the one with the smallest directional light radius.
    scatter : float
        Root-mean-square distance of the votes from their mean.
    p_host, p_second, p_hostless : float
        Probabilities of the two most probable sources, and of none.
    is_detected : bool
        Whether the host is a source of the image.
    a, b, theta : float
        Ellipse of the most probable source: semi-axes, and angle from x towards y.
    light_radii : float
        Directional light radius of the transient from it.
    """

    host: Floats
    network: Floats
    second: Floats
    nearest: Floats
    lightest: Floats
    scatter: float
    p_host: float
    p_second: float
    p_hostless: float
    is_detected: bool
    a: float
    b: float
    theta: float
    light_radii: float


def weigh(sources: Sources, votes: Floats, association: Association, centre_pix: int) -> Found:
    """Weigh the sources of a field, at least one, against each other.

    Parameters
    ----------
    sources : Sources
    votes : ndarray, shape (8, 2)
        Places x and y that the network votes for.
    association : Association
        Learned weights.
    centre_pix : int
        Column and row of the transient.
    """
    centre = np.full(2, centre_pix, dtype=np.float64)
    field = describe_field(sources, votes, *centre)
    p = association.probabilities(field)
    order = np.argsort(-p[:-1], kind="stable")
    best = int(order[0])
    places = np.stack([sources.x, sources.y], axis=1) - centre
    network = votes.mean(axis=0) - centre
    # Where no source is the likeliest, the host may be too faint to be one: the network guesses.
    is_detected = bool(p[best] >= p[-1])
    has_second = len(order) > 1
    light_radii = directional_radius(sources, *centre)
    return Found(
        host=places[best] if is_detected else network,
        network=network,
        second=places[order[1]] if has_second else np.full(2, np.nan),
        nearest=places[separation_pix(sources, *centre).argmin()],
        lightest=places[light_radii.argmin()],
        scatter=scatter(votes),
        p_host=float(p[best]),
        p_second=float(p[order[1]]) if has_second else 0.0,
        p_hostless=float(p[-1]),
        is_detected=is_detected,
        a=float(_ELLIPSE * sources.a[best]),
        b=float(_ELLIPSE * sources.b[best]),
        theta=float(sources.theta[best]),
        light_radii=float(light_radii[best] / _ELLIPSE),
    )
