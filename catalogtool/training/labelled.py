"""The labels of both surveys, and how they are shared out for a training."""

from dataclasses import dataclass, replace

import numpy as np

from catalogtool.adaptation import load_method
from catalogtool.config.training import DOMAINS, Domain, DomainData, TrainingSpec
from catalogtool.errors import LabelError
from catalogtool.training.calibrate import has_enough_labels
from catalogtool.training.coverage import refuse_absent_classes, refuse_too_few
from catalogtool.training.examples import (
    DomainRows,
    Examples,
    load_examples,
    open_domain,
    read_labelled_rows,
)
from catalogtool.training.split import BoolArray, Split, SplitRules, split_labels

_SOURCE_TEST_SHARE = 0.15  # as in Perez-Carrasco et al. 2019
_SOURCE_CALIBRATION_SHARE = 0.15
"""Share of the source's labels that teach nothing where the target has too few to calibrate by."""


@dataclass(frozen=True)
class LabelledDomain:
    """Labels of one domain and how they are shared out."""

    data: DomainData
    rows: DomainRows
    split: Split

    def load(self, wanted: BoolArray, spec: TrainingSpec, shard: tuple[int, int]) -> Examples:
        """Read one worker's share of some of the labelled cutouts."""
        return load_examples(open_domain(self.data), self.rows, wanted, spec.preparation, shard)


def label_domains(spec: TrainingSpec) -> dict[Domain, LabelledDomain]:
    """Share out the labels of every labelled domain that the method learns from.

    Raises
    ------
    LabelError
        If no label is left to train on, a class has fewer labels than were asked for, or only one
        of the surveys has it.
    """
    domains: dict[Domain, LabelledDomain] = {
        name: label_domain(spec, name)
        for name in training_domains(spec)
        if name != "target_unlabelled"
    }
    if not load_method(spec.method).universal and len(domains) > 1:
        refuse_absent_classes(spec, {d.data.survey.name: d.rows.labels for d in domains.values()})
    return domains


def training_domains(spec: TrainingSpec) -> tuple[Domain, ...]:
    """Domains that every batch holds: what the method needs, and what else it takes.

    Raises
    ------
    LabelError
        If it needs labels of the target, and the specification allows it none.
    """
    method = load_method(spec.method)
    if "target_labelled" in method.domains and not spec.uses_target_labels:
        raise LabelError(
            f"method {spec.method}: learns from labels of the target, and shots or label_count "
            "is 0; allow some, or choose another method"
        )
    taken = method.domains + (method.optional if spec.uses_target_labels else ())
    return tuple(name for name in DOMAINS if name in taken)


def learns_from_target(spec: TrainingSpec) -> bool:
    """Whether anything of the target teaches; else its labels may calibrate, and no more."""
    return spec.target is not None and training_domains(spec) != ("source",)


def label_domain(spec: TrainingSpec, name: Domain) -> LabelledDomain:
    """Share out the labels of one survey, whether the method learns from them or not.

    Those of a target that the method does not learn from are all for validation.

    Raises
    ------
    LabelError
        If no label is left to train on, or a class of the target has fewer than were asked for.
    """
    is_target = name == "target_labelled"
    data = spec.target if is_target else spec.source
    assert data is not None
    rows = read_labelled_rows(data)
    rules = SplitRules(
        seed=spec.seed,
        test_share=spec.test_share if is_target else _SOURCE_TEST_SHARE,
        validation_share=_validation_share(spec, name),
        label_count=spec.label_count if is_target else None,
        shots=spec.shots if is_target else None,
        test_is_rest=is_target and spec.label_kind == "class",
        validation_shots=spec.validation_shots if is_target else 0,
    )
    split = split_labels(rows.labels, rules)
    if is_target:
        refuse_too_few(spec, rows.labels, split)
        if not learns_from_target(spec):
            split = replace(
                split,
                train=np.zeros_like(split.train),
                validation=split.train | split.validation,
            )
    return LabelledDomain(data, rows, split)


def _validation_share(spec: TrainingSpec, name: Domain) -> float:
    """Share of a domain's labels that choose an epoch, or calibrate, and do not teach."""
    if name == "target_labelled" or not learns_from_target(spec):
        return spec.training.validation_share
    calibrates = spec.training.calibration != "none" and not has_enough_labels(spec)
    return _SOURCE_CALIBRATION_SHARE if calibrates else 0.0


def main_domain(spec: TrainingSpec, domains: dict[Domain, LabelledDomain]) -> LabelledDomain:
    """The domain whose test figures count: the target where it is known at all."""
    if spec.target is None:
        return domains["source"]
    return domains.get("target_labelled") or label_domain(spec, "target_labelled")
