"""A picture of scenes, with the true host and the one that was found."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np

from catalogtool.hosts.association import Association
from catalogtool.hosts.candidates import weigh
from catalogtool.networks._delight import Delight
from catalogtool.training.hosts import CENTRE_PIX, Scene, vote

COLUMNS, ROWS = 4, 2
SCALE_ARCSEC = 0.25
_SOFTENING = 5  # noise levels below which brightness is shown linearly


def draw_scenes(
    network: Delight,
    association: Association,
    scenes: list[Scene],
    pixels: Callable[[int], np.ndarray],
    path: str,
) -> None:
    """Draw hosts from the nearest to the farthest, evenly by rank, and a scene without one.

    Arrows point to the host that was found; rings are around the true one.
    """
    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(ROWS, COLUMNS, figsize=(2.6 * COLUMNS, 2.95 * ROWS), layout="tight")
    shown = _spread(scenes, COLUMNS * ROWS - 1)
    half = CENTRE_PIX * SCALE_ARCSEC
    for axis, index in zip(axes.flat, shown, strict=True):
        scene = scenes[index]
        image = np.arcsinh(pixels(index) / (_SOFTENING * scene.sources.noise))
        extent = (-half, half, -half, half)
        axis.imshow(image, cmap="gray_r", origin="lower", extent=extent, vmin=-0.4, vmax=3)
        found = weigh(scene.sources, vote(network, scene.pyramid[None])[0], association, CENTRE_PIX)
        x, y = found.host * SCALE_ARCSEC
        style = {"color": "tab:red", "width": 0.2, "head_width": 1.8}
        axis.arrow(0, 0, x, y, length_includes_head=True, **style)
        axis.plot(0, 0, "+", color="tab:blue")
        title = f"P(host) {found.p_host:.2f}, P(none) {found.p_hostless:.2f}"
        if scene.host is None:
            title += "\nhas none"
        else:
            true = (scene.host - CENTRE_PIX) * SCALE_ARCSEC
            axis.plot(*true, "o", color="tab:green", markersize=11, fillstyle="none")
            error = np.hypot(x - true[0], y - true[1])
            title += f"\n{np.hypot(*true):.1f} arcsec away, error {error:.1f}"
        axis.set_title(title, fontsize=7.5)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _spread(scenes: list[Scene], count: int) -> list[int]:
    seen = [index for index, scene in enumerate(scenes) if len(scene.sources)]
    offsets = {i: scenes[i].host - CENTRE_PIX for i in seen if scenes[i].host is not None}
    hosts = sorted(offsets, key=lambda index: float(np.hypot(*offsets[index])))
    places = np.linspace(len(hosts) // 4, len(hosts) - 1, count).astype(int)
    hostless = next(index for index in seen if index not in offsets)
    return [*(hosts[place] for place in places), hostless]
