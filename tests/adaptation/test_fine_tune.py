"""Fine-tuning, which starts from what the source taught."""

import torch
from adaptation_samples import small_batches

from catalogtool.adaptation import build_method
from catalogtool.adaptation._losses import cross_entropy
from catalogtool.networks import build_network


def test_a_handful_of_labels_changes_weights_but_no_statistics() -> None:
    torch.manual_seed(0)
    network = build_network(
        "resnet", {"widths": [4], "blocks": [1]}, channels=1, classes=3, size_pix=16
    )
    method = build_method("fine_tune", network, cross_entropy).train()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    optimiser = torch.optim.SGD(method.parameters(), lr=0.1)

    method(small_batches(), 0.0)["label"].backward()
    optimiser.step()

    after = method.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {name for name, _ in method.named_parameters()}
