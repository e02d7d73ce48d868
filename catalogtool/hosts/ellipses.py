"""Sizes and shapes of sources from the resolution at which each is best seen.

Detection at full resolution takes the outskirts of a large galaxy for noise and its knots for
sources of their own: axes come out too small. In block means of the image the noise is lower and
knots blend into their galaxy.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from catalogtool.hosts.sources import Detection, Image, Sources, elliptical_radius, extract

BLOCKS = (4, 16)
"""Sides of the blocks, in pixels; the coarsest that resolves a source measures it."""
_THRESHOLD_SIGMA = 3.0
_RESOLVED = 2.0
"""Root-mean-square axis, in blocks, from which on a source is resolved."""
_REACH = 2.5
"""Axes of a coarse source within which it has its parts in the image."""
_LEAST_SHARE = 0.5
"""Of the light of those parts, that one of them must have to be what was measured."""


def best_ellipses(found: Detection) -> Sources:
    """Measure axes and angles of large sources in block means; places and fluxes stay.

    Parameters
    ----------
    found : Detection

    Returns
    -------
    Sources
        As many as before, in the same order.
    """
    sources = found.sources
    if not len(sources):
        return sources
    a, b, theta = sources.a.copy(), sources.b.copy(), sources.theta.copy()
    for block in BLOCKS:
        for coarse in _coarse_sources(found.image, sources.noise, block):
            index = _main_source(sources, coarse)
            if index is not None and coarse["a"] > a[index]:
                a[index], b[index], theta[index] = coarse["a"], coarse["b"], coarse["theta"]
    return replace(sources, a=a, b=b, theta=theta)


def _coarse_sources(image: Image, noise: float, block: int) -> npt.NDArray[np.void]:
    """Resolved sources in block means, their places and axes in pixels of the image."""
    side = min(image.shape) // block
    window = image[: side * block, : side * block]
    means = window.reshape(side, block, side, block).mean(axis=(1, 3), dtype=np.float64)
    found = extract(means, _THRESHOLD_SIGMA, noise / block)
    found = found[found["a"] >= _RESOLVED]
    for name in ("x", "y"):
        found[name] = (found[name] + 0.5) * block - 0.5
    for name in ("a", "b"):
        found[name] *= block
    return found


def _main_source(sources: Sources, coarse: np.void) -> int | None:
    """The part of a coarse source that has most of the light of its parts, if one has."""
    offsets = sources.x - coarse["x"], sources.y - coarse["y"]
    radii = elliptical_radius(*offsets, coarse["a"], coarse["b"], coarse["theta"])
    parts = np.flatnonzero(radii < _REACH)
    if not len(parts):
        return None
    main = int(parts[sources.flux[parts].argmax()])
    return main if sources.flux[main] >= _LEAST_SHARE * sources.flux[parts].sum() else None
