"""Made-up candidates with cutouts and light curves, as a survey of alerts would have them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from catalogtool.quality._sprites import Tones, scale_cutouts
from catalogtool.quality.vetting import (
    CANDIDATES,
    VettingContent,
    detail_text,
    render_vetting,
)

CLASSES = ("agn", "asteroid", "bogus", "satellite", "sn", "vs")
CHANNELS = ("science", "template", "difference")
FIRST_MJD = 61_370.2
_SCENES = 64


@dataclass(frozen=True)
class Sample:
    """Candidates, and where their cutouts and light curves come from."""

    content: VettingContent
    read: Callable[[int, int], tuple[Tones, list[str]]]

    def files(self) -> Iterator[tuple[str, bytes]]:
        return render_vetting(self.content, self.read)

    def write(self, folder: Path) -> Path:
        """Write the page; returns its address."""
        for name, data in self.files():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return folder / "index.html"


def make_candidates(count: int, seed: int = 1) -> pa.Table:
    """Candidates of falling score; some values are unknown."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(len(CLASSES), 0.5), count).astype(np.float32)
    p[:, 4] += np.linspace(4, 0, count, dtype=np.float32)
    p /= p.sum(axis=1, keepdims=True)
    p = p[np.argsort(-p[:, 4], kind="stable")]
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    names = ["".join(letters[rng.integers(0, 26, 7)]) for _ in range(count)]
    unknown = rng.random(count) < 0.1
    columns: dict[str, Any] = {
        "object_id": 3_111_222_333_444_555_000 + np.arange(count) * 7,
        "source_id": [f"ZTF26{name}" for name in names],
        "ra": rng.uniform(0, 360, count),
        "dec": np.degrees(np.arcsin(rng.uniform(-0.5, 1, count))),
        "observed_mjd": FIRST_MJD + rng.uniform(0, 0.4, count),
        "night": ["2026-11-26"] * count,
        "predicted_class": [CLASSES[k] for k in p.argmax(axis=1)],
        "score": p[:, 4],
        "probabilities": list(p),
        "real_bogus": 1 - p[:, 2],
        "survey_score": rng.beta(5, 1, count).astype(np.float32),
        "age_days": np.where(rng.random(count) < 0.2, 0, rng.exponential(9, count)).astype("f4"),
        "magnitude_ab": rng.uniform(16, 20.9, count).astype(np.float32),
        "magnitude_error": rng.uniform(0.02, 0.25, count).astype(np.float32),
        "band": np.array(["g", "r", "i"])[rng.integers(0, 3, count)],
        "is_positive": rng.random(count) < 0.9,
        "detections": rng.integers(1, 30, count).astype(np.int32),
        "neighbour_arcsec": pa.array(rng.uniform(0.1, 20, count).astype("f4"), mask=unknown),
        "neighbour_star_score": pa.array(rng.random(count).astype("f4"), mask=unknown),
        "flags": np.where(rng.random(count) < 0.15, 128, 0).astype(np.int32),
    }
    return pa.table(columns, schema=CANDIDATES)


def make_history(candidate: dict[str, Any], seed: int) -> pa.Table:
    """A rising and falling light curve in two bands, with upper limits before it."""
    rng = np.random.default_rng(seed)
    mjd, age = candidate["observed_mjd"], candidate["age_days"]
    days = np.concatenate([-np.sort(rng.uniform(0, 30, 16))[::-1], [-age, 0.0]])
    seen = days >= -age
    limit = rng.uniform(20.6, 21.2, len(days))
    shape = 0.012 * (days + age - 12) ** 2 + rng.normal(0, 0.05, len(days))
    magnitude = candidate["magnitude_ab"] + shape - shape[-1]
    return pa.table(
        {
            "mjd": mjd + days,
            "band": [*np.array(["g", "r"])[rng.integers(0, 2, len(days) - 1)], candidate["band"]],
            "magnitude_ab": pa.array(magnitude.astype("f4"), mask=~seen),
            "magnitude_error": pa.array(rng.uniform(0.03, 0.2, len(days)).astype("f4"), mask=~seen),
            "limit_mag_ab": limit.astype("f4"),
            "is_positive": pa.array(rng.random(len(days)) < 0.9, mask=~seen),
        }
    )


def make_scenes(count: int, size_pix: int, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Images and masks of shape (N, 3, H, W): a host, and a transient in the first and last."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size_pix, :size_pix] - size_pix // 2
    images = rng.normal(0, 8, (count, 3, size_pix, size_pix)).astype(np.float32)
    mask = np.zeros(images.shape, dtype=np.bool_)
    for image, hidden in zip(images, mask, strict=True):
        dx, dy = rng.normal(0, 4, 2)
        radius = np.hypot(x - dx, (y - dy) * rng.uniform(1, 1.8))
        image[:2] += 300 * np.exp(-radius / rng.uniform(2, 6)) + 400
        star = rng.uniform(60, 500) * np.exp(-(x**2 + y**2) / 5)
        image[[0, 2]] += star
        if rng.random() < 0.2:
            hidden[:, :, : rng.integers(3, size_pix // 3)] = True
    return images, mask


def make_sample(count: int, size_pix: int = 63) -> Sample:
    """A page of so many candidates; cutouts and light curves of the first ones repeat."""
    candidates = make_candidates(count)
    scenes = scale_cutouts(*make_scenes(min(count, _SCENES), size_pix))

    facts = {"distnr": 1.25, "chinr": 0.7, "unknown": None}
    first = candidates.slice(0, _SCENES).to_pylist()
    texts = [detail_text(make_history(one, k), facts) for k, one in enumerate(first)]

    def read(start: int, stop: int) -> tuple[Tones, list[str]]:
        which = np.arange(start, stop) % len(texts)
        return scenes[which], [texts[k] for k in which]

    content = VettingContent(
        title="Candidates of ZTF",
        subtitle="Run 0123456789ab · 2026-11-27 06:00 UTC",
        page_id="0123456789ab",
        picks_id="0123456789ab",
        survey="ztf",
        classes=CLASSES,
        channels=CHANNELS,
        ranked_by="probability of sn",
        candidates=candidates,
        remarks=("The cutouts are simulated: no row describes a real object.",),
    )
    return Sample(content, read)
