import os

import psutil
import pytest
import ray

from rayner.cluster.network import find_interface, set_gloo_interface


@pytest.mark.parametrize(
    ("address", "expected"), [("198.18.0.2", "eth1"), ("127.0.0.1", "lo"), ("198.18.0.3", None), ("fe80::1", "eth1")]
)
def test_the_interface_is_the_one_that_has_the_address(address, expected):
    held = {"lo": ["127.0.0.1", "::1"], "eth0": ["198.18.0.1"], "eth1": ["198.18.0.2", "fe80::1"], "down": []}
    assert find_interface(address, held) == expected


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [None, "mine0"])
def test_gloo_listens_where_ray_does_unless_told_otherwise(local_ray, chosen):
    @ray.remote(runtime_env={"env_vars": {"GLOO_SOCKET_IFNAME": chosen}} if chosen else None)
    def listening():
        set_gloo_interface()
        return os.environ.get("GLOO_SOCKET_IFNAME"), ray.util.get_node_ip_address()

    name, address = ray.get(listening.remote())
    assert name == chosen or address in [each.address for each in psutil.net_if_addrs()[name]]
