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
    """Settings of torch's process group that make Gloo (on CPUs) use the network between Ray's nodes.

    By default Gloo uses the address of the machine's host name. In the `/etc/hosts` of Debian and Ubuntu this address
    is 127.0.1.1, which other machines cannot reach. NCCL finds a network by itself.
    """

    @property
    def backend_cls(self) -> type[RayTorchBackend]:
        """The class of the backend, which sets Gloo's interface before it starts the process group."""
        return _RayNodeTorchBackend


class _RayNodeTorchBackend(RayTorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:  # noqa: ANN401 - Ray types the two differently
        worker_group.execute(set_gloo_interface)
        super().on_start(worker_group, backend_config)


def set_gloo_interface() -> None:
    """Make Gloo in this process use the network interface through which Ray reaches this node.

    An interface that the environment already sets is kept.
    """
    interface_addresses = {
        name: [each.address for each in addresses] for name, addresses in psutil.net_if_addrs().items()
    }
    name = find_interface(ray.util.get_node_ip_address(), interface_addresses)
    if name:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def find_interface(address: str, interface_addresses: Mapping[str, Iterable[str]]) -> str | None:
    """Return the name of the network interface that has an address, or None.

    interface_addresses: the addresses of each interface, by the interface's name.
    """
    return next((name for name, addresses in interface_addresses.items() if address in addresses), None)
