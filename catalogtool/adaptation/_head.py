"""What methods need to know of the last layer of a network."""

from torch import nn

from catalogtool.errors import ConfigError
from catalogtool.networks._base import Network


def class_weights(network: Network) -> nn.Parameter:
    """Weights of the last layer, shape (K, D): one vector per class, as long as the features.

    Raises
    ------
    ConfigError
        If the network ends in another way.
    """
    weights = getattr(getattr(network, "head", None), "weight", None)
    if not isinstance(weights, nn.Parameter):
        raise ConfigError(
            f"network {type(network).__module__.rpartition('.')[2]}: has no weights per class, "
            'which this method needs; set head = "cosine" in the network_options of the recipe, or '
            "choose a network that has the choice, such as resnet"
        )
    return weights
