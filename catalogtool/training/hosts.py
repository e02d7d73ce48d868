"""A model of hosts: most scenes teach the network, the others the weights of candidates."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import safetensors
import safetensors.torch
import torch
from pydantic import PositiveFloat, PositiveInt

from catalogtool.config._base import Specification
from catalogtool.config.training import DomainData
from catalogtool.errors import LabelError
from catalogtool.hosts.association import Association, describe_field, true_source
from catalogtool.hosts.ellipses import best_ellipses
from catalogtool.hosts.sky import Orientation, offsets_between
from catalogtool.hosts.sources import Detection, Sources, find_sources
from catalogtool.inputs import load_format
from catalogtool.inputs._base import Cutouts
from catalogtool.networks._delight import VARIANTS, Delight, DelightOptions, turned, variant
from catalogtool.preprocess.pyramid import FIELD_PIX, build_pyramid, centred
from catalogtool.training import stored
from catalogtool.training.unlabelled import draw_unlabelled

Floats = npt.NDArray[np.float64]

CENTRE_PIX = FIELD_PIX // 2
"""Column and row of the transient."""
MIDDLE_PIX = CENTRE_PIX - 0.5
"""Where the symmetry axes of all levels meet: between two pixels, as their number is even."""
_FAMILY, _WHAT = "delight", "model of hosts"
_CHUNK = 32
_HELD_OUT = 0.25
"""Share of the scenes that teach the weights of candidates."""
_FEWEST = 40
_HIDDEN_DECAY = (1e-5, 1e-4)
"""Penalties of absolute and squared weights of the hidden layer, the published ones."""


class HostSpec(Specification):
    """A complete description of one training."""

    source: DomainData
    band: int
    """Index of the band that is looked at."""
    scenes: PositiveInt
    epochs: PositiveInt = 25
    batch_size: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-3
    seed: int = 0

    def that_matters(self) -> dict[str, Any]:
        """Of the source what matters; everything else."""
        return self.to_json() | {"source": self.source.that_matters()}

    @property
    def simulated(self) -> bool:
        """Whether the scenes are simulated."""
        return self.source.simulated


class Scene(NamedTuple):
    """One labelled field."""

    sources: Sources
    pyramid: npt.NDArray[np.float32]
    """Shape (5, 30, 30)."""
    host: Floats | None
    """Place x and y of the host in pixels; None: it has none."""


@dataclass(frozen=True)
class HostModel:
    """A trained model of hosts.

    Attributes
    ----------
    uri, model_id : str
        Its folder, and a name made of its content.
    spec : HostSpec
        How it was trained.
    metrics : dict
        How many scenes taught it, and how well it does on those that did not teach the network.
    network : Delight
        In evaluation mode.
    association : Association
        Weights of candidates.
    """

    uri: str
    model_id: str
    spec: HostSpec
    metrics: dict[str, Any]
    network: Delight
    association: Association

    def describe(self) -> list[tuple[str, str]]:
        """The model in words."""
        count = f"{self.metrics['network_scenes']} + {self.metrics['candidate_scenes']}"
        return [
            ("model of hosts", self.model_id),
            ("hosts learned from", f"{count} scenes of {self.spec.source.survey.name}"),
        ]


def train_hosts(spec: HostSpec, uri: str) -> HostModel:
    """Train a model of hosts, and store it.

    Raises
    ------
    LabelError
        If too few hosts are known.
    """
    scenes = list(labelled_scenes(spec.source, spec.band, spec.scenes, spec.seed))
    order = np.random.default_rng(spec.seed).permutation(len(scenes))
    held_out = round(_HELD_OUT * len(scenes))
    with_host = [scenes[i] for i in order[held_out:] if scenes[i].host is not None]
    others = [scenes[i] for i in order[:held_out]]
    if len(with_host) < _FEWEST or not others:
        raise LabelError(
            f"{spec.source.input_uri or spec.source.survey.name}: the hosts of {len(with_host)} "
            f"transients are known, at least {_FEWEST} are needed; give host_ra and host_dec in a "
            "table with --source-labels, or learn from simulated scenes"
        )
    network = _fit_network(spec, with_host)
    association = fit_association(network, others)
    metrics = {"network_scenes": len(with_host), "candidate_scenes": len(others)}
    return _save(uri, spec, metrics, network, association)


def labelled_scenes(domain: DomainData, band: int, limit: int, seed: int) -> Iterator[Scene]:
    """Fields of transients whose host is known, or known not to be there."""
    rows = draw_unlabelled(domain, limit * domain.survey.rows_per_object, seed).rows.table
    source = load_format(domain.input_format)(domain.survey, domain.input_uri, domain.labels_uri)
    for start in range(0, rows.num_rows, _CHUNK):
        some = rows.slice(start, _CHUNK)
        cutouts = source.read(some)
        for index, place in enumerate(known_places(cutouts, some, domain)):
            if place is not None:
                yield _scene(cutouts, index, band, place)


def known_places(cutouts: Cutouts, rows: pa.Table, domain: DomainData) -> list[Floats | None]:
    """Places of hosts in pixels; NaN: known to have none; None: unknown."""
    facts = cutouts.facts
    count = rows.num_rows
    if facts is None or "host_ra" not in facts.column_names:
        return [None] * count
    positions = (
        table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        for table, name in (
            (rows, "ra"),
            (rows, "dec"),
            (facts, "host_ra"),
            (facts, "host_dec"),
        )
    )
    orientation = Orientation.of(facts, count, domain.survey.pixel_scale_arcsec)
    places = orientation.offsets_pix(offsets_between(*positions)) + CENTRE_PIX
    hostless = facts.column("is_hostless").to_pylist()
    return [
        place if none or np.isfinite(place).all() else None
        for place, none in zip(places, hostless, strict=True)
    ]


def _scene(cutouts: Cutouts, index: int, band: int, place: Floats) -> Scene:
    found = detect(cutouts, index, band)
    host = place if np.isfinite(place).all() else None
    return Scene(best_ellipses(found), build_pyramid(found), host)


def detect(cutouts: Cutouts, index: int, band: int) -> Detection:
    """Sources in one band of one cutout, in an image of `FIELD_PIX` pixels a side."""
    image = centred(cutouts.images[index, band], 0.0)
    mask = centred(cutouts.mask[index, band], fill=True)
    return find_sources(image.astype(np.float32), mask.astype(np.bool_))


def _fit_network(spec: HostSpec, scenes: list[Scene]) -> Delight:
    """Minimise the distance of the votes from the hosts, a random variant of each scene a time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        network = Delight(DelightOptions())
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network.to(device)
        pyramids = torch.from_numpy(np.stack([scene.pyramid for scene in scenes]))
        hosts = np.stack([scene.host for scene in scenes if scene.host is not None])
        offsets = torch.from_numpy((hosts - MIDDLE_PIX).astype(np.float32))
        optimiser = torch.optim.Adam(network.parameters(), spec.learning_rate)
        steps = spec.epochs * -(-len(scenes) // spec.batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, spec.learning_rate, total_steps=steps
        )
        network.train()
        for batch, index in _batches(len(scenes), spec):
            inputs = variant(pyramids[batch], index).to(device)
            targets = turned(offsets[batch], index).to(device)
            optimiser.zero_grad()
            loss = _distance(network(inputs), targets) + _penalty(network)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return network.cpu().eval()


def _batches(count: int, spec: HostSpec) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    rng = np.random.default_rng(spec.seed)
    for _ in range(spec.epochs):
        order = rng.permutation(count)
        for start in range(0, count, spec.batch_size):
            yield order[start : start + spec.batch_size], int(rng.integers(VARIANTS))


def _distance(found: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Mean distance in pixels, softened below one: squares would see the largest hosts alone."""
    return (((found - offsets) ** 2).sum(dim=1) + 1).sqrt().mean()


def _penalty(network: Delight) -> torch.Tensor:
    weights = network.hidden.weight
    absolute, squared = _HIDDEN_DECAY
    return absolute * weights.abs().sum() + squared * (weights**2).sum()


def vote(network: Delight, pyramids: npt.NDArray[np.float32]) -> Floats:
    """Places x and y in pixels that the eight variants of pyramids (B, 5, 30, 30) vote for.

    Returns
    -------
    ndarray, shape (B, 8, 2)
    """
    with torch.inference_mode():
        found = [network.votes(torch.from_numpy(pyramid[None])) for pyramid in pyramids]
    if not found:
        return np.zeros((0, VARIANTS, 2))
    places: Floats = torch.cat(found).double().numpy() + MIDDLE_PIX
    return places


def fit_association(network: Delight, scenes: list[Scene]) -> Association:
    """Learn the weights of candidates from scenes that did not teach the network."""
    usable = [scene for scene in scenes if len(scene.sources)]
    votes = vote(network, np.stack([scene.pyramid for scene in usable]))
    fields, hosts = [], []
    for scene, places in zip(usable, votes, strict=True):
        index = -1 if scene.host is None else true_source(scene.sources, *scene.host)
        if scene.host is None or index >= 0:  # hosts that were not detected teach nothing
            fields.append(describe_field(scene.sources, places, CENTRE_PIX, CENTRE_PIX))
            hosts.append(index)
    return Association.fit(fields, hosts)


def _save(
    uri: str, spec: HostSpec, metrics: dict[str, Any], network: Delight, association: Association
) -> HostModel:
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    state["association.source"] = torch.from_numpy(association.source_weights)
    state["association.nobody"] = torch.from_numpy(association.nobody_weights)
    weights = safetensors.torch.save(state)
    stored.write(uri, _FAMILY, spec, weights, {"metrics": metrics})
    return load_host_model(uri)


def load_host_model(uri: str) -> HostModel:
    """Read a model of hosts and check it against its own record.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    record = stored.read_record(uri, HostSpec, ("metrics",), _WHAT)
    weights = stored.read_weights(record, _FAMILY)
    try:
        state = safetensors.torch.load(weights)
        association = Association(
            state.pop("association.source").numpy(), state.pop("association.nobody").numpy()
        )
        network = Delight(DelightOptions())
        network.load_state_dict(state)
    except (KeyError, ValueError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise stored.damaged(uri, _WHAT, str(error)) from error
    names = (uri, record.model_id, record.spec, record.facts["metrics"])
    return HostModel(*names, network.eval(), association)
