"""Using a network without training it."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """What a module computes meanwhile trains its inputs, not the module itself.

    Its parameters get no gradient, its layers behave as in evaluation; afterwards all is as it
    was. Losses computed outside still train the module in the same backward pass.

    Parameters
    ----------
    module : nn.Module
        Module with its parts.
    """
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    training = [part for part in module.modules() if part.training]
    try:
        for parameter in learning:
            parameter.requires_grad = False
        for part in training:
            part.training = False
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad = True
        for part in training:
            part.training = True
