"""The network over which the workers of a training exchange what they learned."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil
import ray
from ray.train.torch import TorchConfig

from rayner.cluster.compat import RayTorchBackend


@dataclass
class RayNodeTorchConfig(TorchConfig):
    """Torch's process group, on the CPU over the network by which Ray's nodes reach each other.

    Gloo would take the address that a machine's own name stands for, which is 127.0.1.1 by the `/etc/hosts` of Debian
    and Ubuntu: nobody is reached there from another machine. NCCL looks for a network by itself.
    """

    @property
    def backend_cls(self) -> type[RayTorchBackend]:
        """Ray's, which asks first."""
        return _RayNodeTorchBackend


class _RayNodeTorchBackend(RayTorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:  # noqa: ANN401 - Ray types the two differently
        worker_group.execute(set_gloo_interface)
        super().on_start(worker_group, backend_config)


def set_gloo_interface() -> None:
    """Have Gloo listen, in this process, where Ray reaches this node; a choice made from outside is kept."""
    held = {name: [each.address for each in addresses] for name, addresses in psutil.net_if_addrs().items()}
    name = find_interface(ray.util.get_node_ip_address(), held)
    if name:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def find_interface(address: str, interface_addresses: Mapping[str, Iterable[str]]) -> str | None:
    """The network interface that has an address. held: the addresses of each."""
    return next((name for name, addresses in interface_addresses.items() if address in addresses), None)
