"""Whether there are labels of every class, and as many as were asked for."""

import numpy as np

from catalogtool.adaptation import load_method, method_names
from catalogtool.config.training import TrainingSpec
from catalogtool.errors import LabelError
from catalogtool.training.split import BoolArray, IntArray, Labels, Split


def refuse_too_few(spec: TrainingSpec, labels: Labels, split: Split) -> None:
    """Refuse a draw in which a class of the target has fewer labels than shots.

    A limit on the labels altogether may cut classes short: then there is nothing to refuse.

    Raises
    ------
    LabelError
        With the counts of the classes that have too few.
    """
    if spec.label_count is not None:
        return
    assert spec.target is not None
    wanted = (spec.shots or 0) + spec.validation_shots
    counts = class_counts(labels, split.train | split.validation)
    few = [
        f"{name} ({count})"
        for name, count in zip(spec.classes, counts.tolist(), strict=True)
        if count < wanted
    ]
    if few:
        choose = spec.validation_shots
        spare = int(counts.min()) - choose
        fewer = f"--shots {spare}" if spare >= 0 else f"--validation-shots {choose + spare}"
        raise LabelError(
            f"survey {spec.target.survey.name}: {wanted} labels per class were asked for"
            f"{f', {choose} of them to choose an epoch' * bool(choose)}, and fewer are to be had, "
            f"test objects aside, of {', '.join(few)}; give more labels, or ask for fewer with "
            f"{fewer}",
            counts=dict(zip(spec.classes, counts.tolist(), strict=True)),
        )


def refuse_absent_classes(spec: TrainingSpec, surveys: dict[str, Labels]) -> None:
    """Refuse classes that have labels in one survey and none in the other.

    Votes tell of every class in every object, so that there is nothing to refuse.

    Parameters
    ----------
    spec : TrainingSpec
        Classes, and the method that takes both surveys to have all of them.
    surveys : dict
        All labels by the name of the survey.

    Raises
    ------
    LabelError
        With the classes, the surveys that lack them, and the methods that could do without.
    """
    if spec.label_kind == "votes":
        return
    counts = {name: class_counts(labels, labels.labelled) for name, labels in surveys.items()}
    everywhere = np.max(list(counts.values()), axis=0)
    absent = [
        f"{spec.classes[index]} in {name}"
        for name, found in counts.items()
        for index in np.flatnonzero((found == 0) & (everywhere > 0))
    ]
    if absent:
        universal = [name for name in method_names() if load_method(name).universal]
        remedy = f", or choose a method for such surveys: {', '.join(universal)}" * bool(universal)
        raise LabelError(
            f"method {spec.method}: takes both surveys to have all classes, and there are no "
            f"labels of {', '.join(absent)}; label some, or leave the class out of labels.values "
            f"of the other survey{remedy}"
        )


def class_counts(labels: Labels, rows: BoolArray) -> IntArray:
    """Labelled rows of each class, by plurality: shape (K,)."""
    winners = labels.votes[rows].argmax(axis=1)
    return np.bincount(winners, minlength=labels.votes.shape[2])
