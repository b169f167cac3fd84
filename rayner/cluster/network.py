"""The network over which the workers of a training exchange gradients."""

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
    """Settings of torch's process group: on the CPU, use the network that connects Ray's nodes.

    Gloo alone would use the address of the machine's own name, which is 127.0.1.1 in the `/etc/hosts` of Debian and
    Ubuntu: other machines cannot reach it. NCCL finds a network by itself.
    """

    @property
    def backend_cls(self) -> type[RayTorchBackend]:
        """Ray's backend, which sets the interface first."""
        return _RayNodeTorchBackend


class _RayNodeTorchBackend(RayTorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:  # noqa: ANN401 - Ray types the two differently
        worker_group.execute(set_gloo_interface)
        super().on_start(worker_group, backend_config)


def set_gloo_interface() -> None:
    """Let Gloo in this process use the interface by which Ray reaches this node, unless one is set already."""
    interface_addresses = {
        name: [each.address for each in addresses] for name, addresses in psutil.net_if_addrs().items()
    }
    name = find_interface(ray.util.get_node_ip_address(), interface_addresses)
    if name:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def find_interface(address: str, interface_addresses: Mapping[str, Iterable[str]]) -> str | None:
    """Return the network interface that has an address. interface_addresses: the addresses of each interface."""
    return next((name for name, addresses in interface_addresses.items() if address in addresses), None)
