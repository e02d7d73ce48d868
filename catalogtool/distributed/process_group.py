"""The process group of training workers, over the network by which the nodes know each other."""

import os
import socket

import psutil
import ray
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend


class NodeNetwork(TorchConfig):
    """Torch as usual, but Gloo listens where Ray does.

    Left alone, Gloo takes the address that the host's own name leads to; where that is the
    loopback interface, or the name leads nowhere, workers on two nodes never find each other.
    """

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        """Class that starts the group."""
        return _Backend


class _Backend(_TorchBackend):
    def on_start(self, worker_group, backend_config) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - as Ray has it
        worker_group.execute(_choose_interface)
        super().on_start(worker_group, backend_config)


def _choose_interface() -> None:
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    for name, addresses in psutil.net_if_addrs().items():
        if any(a.family == socket.AF_INET and a.address == address for a in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
