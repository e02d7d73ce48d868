"""The cluster that a production starts on one machine."""

import psutil
import pytest
import ray

from catalogtool.distributed.cluster import local_cluster

pytestmark = pytest.mark.ray


@ray.remote
class Worker:
    def address(self) -> str:
        address: str = ray.util.get_node_ip_address()
        return address


def listening(process: psutil.Process) -> set[str]:
    connections = process.net_connections(kind="inet")
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}


def test_nothing_of_it_can_be_reached_over_the_network() -> None:
    with local_cluster(1):
        worker = Worker.remote()
        assert ray.get(worker.address.remote()) == "127.0.0.1"
        family = psutil.Process().children(recursive=True)
        found = {process.name(): listening(process) for process in family}
    assert found["gcs_server"]
    assert found["raylet"]
    assert set().union(*found.values()) <= {"127.0.0.1", "::ffff:127.0.0.1"}
