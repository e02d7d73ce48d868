"""Fine-tuning, which starts from what the source taught."""

import pytest
import torch
from adaptation_samples import small_batches

from catalogtool.adaptation import build_method
from catalogtool.adaptation._base import Method
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.networks import build_network


def _changed(method: Method) -> set[str]:
    """Names of the weights and statistics that one step changes."""
    before = {name: value.clone() for name, value in method.train().state_dict().items()}
    optimiser = torch.optim.SGD(method.parameters(), lr=0.1)
    method(small_batches(), 0.0)["label"].backward()
    optimiser.step()
    after = method.state_dict()
    return {name for name, value in before.items() if not torch.equal(value, after[name])}


@pytest.mark.parametrize("few", [True, False])
def test_few_labels_change_no_statistics(few: bool) -> None:  # noqa: FBT001 - a parameter
    torch.manual_seed(0)
    shape = {"widths": [4], "blocks": [1]}
    network = build_network("resnet", shape, channels=1, classes=3, size_pix=16)
    method = build_method("fine_tune", network, cross_entropy)
    method.labels_fill_a_batch = not few

    changed = _changed(method)

    weights = {name for name, _ in method.named_parameters()}
    statistics = {name for name, _ in method.named_buffers()}
    assert changed == (weights if few else weights | statistics)
