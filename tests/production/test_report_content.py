"""What a model card says of the objects that belong to no class."""

from types import SimpleNamespace

from catalogtool.production.report_content import _unknown_rule
from catalogtool.training.neighbours import Neighbours


def test_the_card_says_from_where_on_an_object_is_of_no_known_class() -> None:
    import torch

    neighbours = Neighbours(torch.eye(3), torch.tensor(0.25))
    universal, plain = SimpleNamespace(neighbours=neighbours), SimpleNamespace(neighbours=None)

    (row,) = _unknown_rule(universal)  # type: ignore[arg-type]

    assert row[1] == "farther than 0.250 from 3 labelled objects"
    assert _unknown_rule(plain) == []  # type: ignore[arg-type]
