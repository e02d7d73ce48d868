"""Figures as SVG that takes its text colour from the page, light or dark."""

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from catalogtool.quality._statistics import CONFIDENCE_EDGES, CatalogStatistics

PALETTE = ("#4c8dd6", "#e08a3c", "#3fa37c", "#c65d8f", "#9a7bd0", "#b3a236", "#5fb0c4", "#d26a5c")
"""Distinct in hue and lightness, legible on white and on near-black."""

_INK = "#123456"  # stands for the page's text colour until the SVG is placed in the page
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}


class SvgFigure:
    """Context that yields axes and then holds their SVG in `svg`."""

    def __init__(self, name: str, title: str, width: float = 6.4, height: float = 3.4) -> None:
        self._style = rc_context({**_STYLE, "svg.hashsalt": name})
        self._title = title
        self._size = (width, height)
        self.svg = ""

    def __enter__(self) -> Axes:
        self._style.__enter__()
        self._figure = Figure(figsize=self._size, layout="constrained")
        return self._figure.subplots()

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self.svg = self._render()
        finally:
            self._style.__exit__(None, None, None)

    def _render(self) -> str:
        sink = io.StringIO()
        metadata = {"Date": None, "Title": self._title}
        self._figure.savefig(sink, format="svg", transparent=True, metadata=metadata)
        text = sink.getvalue()
        return text[text.index("<svg") :].replace(_INK, "currentColor")


def class_mix(statistics: CatalogStatistics) -> str:
    """Share of every predicted class, per band."""
    bands = statistics.bands
    counts = np.stack([statistics.class_counts[band] for band in bands])  # (bands, K)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = SvgFigure("class-mix", "Class mix per band", height=max(2.0, 0.34 * len(bands) + 1.2))
    with figure as axes:
        left = np.zeros(len(bands))
        for index, name in enumerate(statistics.classes):
            colour = PALETTE[index % len(PALETTE)]
            axes.barh(bands, shares[:, index], left=left, label=name, color=colour, height=0.72)
            left += shares[:, index]
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of predicted rows")
        axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=9)
    return figure.svg


def confidence(statistics: CatalogStatistics) -> str:
    """Histogram of the probability of the predicted class, stacked by class."""
    figure = SvgFigure("confidence", "Probability of the predicted class")
    with figure as axes:
        bottom = np.zeros(statistics.confidence.shape[1])
        width = np.diff(CONFIDENCE_EDGES)
        for index, name in enumerate(statistics.classes):
            heights = statistics.confidence[index]
            colour = PALETTE[index % len(PALETTE)]
            axes.bar(
                CONFIDENCE_EDGES[:-1],
                heights,
                width,
                bottom,
                align="edge",
                label=name,
                color=colour,
            )
            bottom += heights
        axes.set_xlim(0, 1)
        axes.set_xlabel("probability of the predicted class")
        axes.set_ylabel("rows")
        axes.legend(fontsize=9, loc="upper left")
    return figure.svg


def entropy(statistics: CatalogStatistics) -> str:
    """Histogram of the entropy relative to that of equal probabilities."""
    figure = SvgFigure("entropy", "Entropy of the class probabilities")
    with figure as axes:
        width = np.diff(CONFIDENCE_EDGES)
        edges = CONFIDENCE_EDGES[:-1]
        axes.bar(edges, statistics.entropy, width, align="edge", color=PALETTE[0])
        axes.set_xlim(0, 1)
        axes.set_xlabel("entropy / ln(number of classes):  0 certain, 1 undecided")
        axes.set_ylabel("rows")
    return figure.svg


def sky(statistics: CatalogStatistics) -> str:
    """Positions on the sky: a plain field, or all of it in Mollweide's projection."""
    ra, dec = statistics.positions.T
    offset = (ra - ra[0] + 180) % 360 - 180  # a field across ra 0 stays in one piece
    if max(np.ptp(offset), np.ptp(dec)) > 60:
        return _all_sky(ra, dec)
    figure = SvgFigure("sky", "Objects on the sky", height=4.2)
    with figure as axes:
        _points(axes, ra[0] + offset, dec)
        axes.invert_xaxis()
        axes.set_aspect(1 / max(np.cos(np.radians(dec.mean())), 0.05), adjustable="datalim")
        axes.ticklabel_format(useOffset=False)
        axes.set_xlabel("right ascension (deg)")
        axes.set_ylabel("declination (deg)")
    return figure.svg


def _all_sky(ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]) -> str:
    figure = SvgFigure("sky", "Objects on the sky", height=3.6)
    with figure as axes:
        parent = axes.figure
        axes.remove()
        projected = parent.add_subplot(projection="mollweide")
        _points(projected, -np.radians((ra + 180) % 360 - 180), np.radians(dec))
        projected.set_xticks(np.radians(np.arange(-120, 121, 60)))
        projected.set_xticklabels([f"{-angle % 360:d}°" for angle in range(-120, 121, 60)])
        projected.grid(color=_INK, alpha=0.2)
    return figure.svg


def _points(axes: Axes, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
    # Many points as vectors would make the page slow; the axes stay sharp.
    axes.scatter(x, y, s=5, color=PALETTE[0], alpha=0.6, linewidths=0, rasterized=len(x) > 500)


def confusion(counts: list[list[int]], classes: tuple[str, ...], name: str) -> str:
    """Confusion matrix: rows are labels, columns predictions, colours shares of a row."""
    matrix = np.asarray(counts)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = 1.6 + 0.62 * len(classes)
    figure = SvgFigure(f"confusion-{name}", "Confusion matrix", width=size + 1, height=size)
    with figure as axes:
        for (row, column), count in np.ndenumerate(matrix):
            share = float(shares[row, column])
            box: dict[str, Any] = {
                "color": PALETTE[0],
                "alpha": 0.08 + 0.72 * share,
                "linewidth": 0,
            }
            axes.fill([column, column + 1, column + 1, column], [row, row, row + 1, row + 1], **box)
            axes.text(column + 0.5, row + 0.5, f"{count}", ha="center", va="center", fontsize=9)
        ticks = np.arange(len(classes)) + 0.5
        axes.set_xticks(ticks, classes, rotation=30, ha="right")
        axes.set_yticks(ticks, classes)
        axes.set(xlim=(0, len(classes)), ylim=(len(classes), 0), xlabel="predicted", ylabel="label")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure.svg


def reliability(tables: dict[str, list[dict[str, Any]]]) -> str:
    """Share of right predictions against their confidence; the diagonal is honest."""
    figure = SvgFigure("reliability", "Reliability", width=4.6, height=4.2)
    with figure as axes:
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.8, alpha=0.5, label="honest")
        for index, (name, table) in enumerate(tables.items()):
            counts = np.array([row["count"] for row in table])
            confidence = [row["confidence"] for row in table]
            accuracy = [row["accuracy"] for row in table]
            colour = PALETTE[1 - index]
            axes.plot(confidence, accuracy, color=colour, label=name)
            sizes = 8 + 120 * counts / counts.sum()
            axes.scatter(confidence, accuracy, s=sizes, color=colour)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right")
        axes.legend(fontsize=9, loc="upper left")
    return figure.svg


def band_errors(by_band: dict[str, dict[str, Any]]) -> str:
    """Root-mean-square error of the class probabilities, per band."""
    known = {band: figures["rmse"] for band, figures in by_band.items() if "rmse" in figures}
    height = max(2.0, 0.3 * len(known) + 0.9)
    figure = SvgFigure("band-errors", "Error per band", height=height)
    with figure as axes:
        bars = axes.barh(list(known), list(known.values()), color=PALETTE[0], height=0.7)
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=9, color=_INK)
        axes.invert_yaxis()
        axes.set_xlabel("mean root-mean-square error of a cutout's class probabilities")
    return figure.svg


def accuracy_by_labels(
    lines: dict[str, list[tuple[int, float, float]]], name: str, what: str
) -> str:
    """Mean accuracy and its spread over the number of labels, one line per method.

    Parameters
    ----------
    lines : dict
        Labels per class, mean and standard deviation (shares) of every method.
    name : str
        Sets figures of one page apart.
    what : str
        What the accuracy was measured on.
    """
    shots = sorted({count for points in lines.values() for count, _, _ in points})
    figure = SvgFigure(f"labels-{name}", f"Balanced accuracy on the {what}", height=4.4)
    with figure as axes:
        for index, (method, points) in enumerate(lines.items()):
            shift = 0.5 * ((index + 0.5) / len(lines) - 0.5)  # so that error bars stand apart
            axes.errorbar(
                [shots.index(count) + shift for count, _, _ in points],
                [100 * mean for _, mean, _ in points],
                [100 * spread for _, _, spread in points],
                label=method,
                color=PALETTE[index % len(PALETTE)],
                marker="os"[index // len(PALETTE) % 2],
                markersize=4.5,
                linewidth=1.3,
                elinewidth=0.9,
            )
        axes.set_xticks(range(len(shots)), [str(count) for count in shots])
        axes.set_xlim(-0.5, len(shots) - 0.5)
        axes.set_xlabel("target labels per class")
        axes.set_ylabel(f"balanced accuracy on the {what}, %")
        axes.legend(fontsize=9, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure.svg


def side_by_side(images: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Images of shape (C, H, W) beside each other, (H, C * W), each from its dark to its bright."""
    return np.concatenate([_from_dark_to_bright(image) for image in images], axis=1)


def _from_dark_to_bright(image: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Pixels from 0 to 1, the few beyond cut off; what is not finite counts as 0."""
    pixels = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    low, high = np.percentile(pixels, (1, 99.7))
    scaled: npt.NDArray[np.float64] = np.clip((pixels - low) / max(high - low, 1e-30), 0, 1)
    return scaled


def cutout_png(image: npt.NDArray[np.floating[Any]]) -> str:
    """Data URI of a cutout, stretched by an inverse hyperbolic sine for the eye.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (3, H, W)
        Grey, or red, green and blue; NaN shows black.
    """
    from PIL import Image

    shown = (np.arcsinh(8 * _from_dark_to_bright(image)) / np.arcsinh(8) * 255).astype(np.uint8)
    if shown.ndim == 3:
        shown = np.ascontiguousarray(shown.transpose(1, 2, 0))  # (H, W, 3)
    sink = io.BytesIO()
    Image.fromarray(shown).save(sink, "PNG")
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()
