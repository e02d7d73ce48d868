"""A Ray cluster of several machines in miniature, each a set of Linux namespaces on one bridge.

Every node has its own address, processes and Ray folder; SIGKILL of its first process is a power
failure. A real S3 server listens beside them. Nothing can reach the rig from outside, and nothing
of it outlives the process that made it.
"""

import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from s3_server import running_server, s3_environment

BRIDGE = "10.77.0.254"
HEAD = "10.77.0.1"
ADDRESS = f"http://{HEAD}:8265"
OBJECT_STORE_BYTES = 90_000_000
ROOT = Path(__file__).parents[1]
_START_S = 240
_TOOLS = ("unshare", "nsenter", "setpriv", "ip", "mount")
_HOLD = "ip link set lo up && ip link add br0 type bridge && ip addr add {bridge}/24 dev br0 && \
ip link set br0 up && echo ready && exec cat"
_PLUG = "ip link add ve{n} type veth peer name eth0 netns {pid} && ip link set ve{n} master br0 up"
# 'ray start' without the server of Ray Client, which is not used and gives up on busy machines.
_RAY = "from ray.scripts import scripts; \
scripts.get_ray_client_dependency_error = lambda: 'not wanted'; scripts.main()"
# Ray waits 30 s for itself, which may be too short for many machines on few cores: once more, then.
_BOOT = "mount --bind {folder} /tmp/ray && mount -t tmpfs -o size=300m tmpfs /dev/shm && \
hostname node{n} && ip link set lo up && while ! ip link show eth0 >/dev/null 2>&1; do sleep 0.1; \
done && ip addr add {address}/24 dev eth0 && ip link set eth0 up && \
ip route add default via {bridge} && while ! {start}; do sleep 1; done"


def require_namespaces() -> None:
    """Skip where this process may not make machines."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if os.geteuid() or missing:
        pytest.skip(f"several machines need root and {', '.join(_TOOLS)}; missing: {missing}")
    tried = subprocess.run(["unshare", "-n", "-p", "-m", "-u", "-f", "true"], check=False)
    if tried.returncode:
        pytest.skip("several machines need namespaces, which the kernel refuses")


@dataclass
class Rig:
    """Running machines."""

    folder: Path
    holder: int
    """Process whose network all machines share a bridge in."""
    environment: dict[str, str]
    nodes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def inside(self, *command: str) -> list[str]:
        """Words that run a command on the rig's network, as on a desk beside the cluster."""
        return ["nsenter", "-t", str(self.holder), "-n", "--", *command]

    def run(self, *words: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run ``catalogtool`` beside the cluster."""
        command = self.inside(sys.executable, "-m", "catalogtool", *words)
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=self.environment,
        )

    def start(self, *words: str, log: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start ``catalogtool`` beside the cluster; its stderr goes to a file."""
        command = self.inside(sys.executable, "-m", "catalogtool", *words)
        with log.open("ab") as stderr:
            return subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, env=self.environment | variables
            )

    def python(self, program: str, *words: str) -> str:
        """Run a few lines of Python beside the cluster."""
        command = self.inside(sys.executable, "-c", program, *words)
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, env=self.environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def boot(self, number: int, cpus: int, *, is_head: bool = False, **variables: str) -> None:
        """Switch a machine on, and wait until Ray runs there."""
        address = f"10.77.0.{number}"
        role = f"--address={HEAD}:6379"
        if is_head:
            role = f"--head --port=6379 --dashboard-host={address} --dashboard-port=8265"
        start = (
            f"{sys.executable} -c {shlex.quote(_RAY)} start {role} "
            f"--node-ip-address={address} --num-cpus={cpus} --block "
            f"--object-store-memory={OBJECT_STORE_BYTES} --disable-usage-stats"
        )
        folder = self.folder / f"node{number}-{len(self.nodes)}-{secrets.token_hex(2)}"
        folder.mkdir()
        words = {"n": number, "address": address, "bridge": BRIDGE, "folder": folder}
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "-p", "-m", "-u", "--fork"]
        command += ["--kill-child", "--mount-proc", "sh", "-c", _BOOT.format(start=start, **words)]
        with (folder / "start.log").open("wb") as log:
            environment = self.environment | variables
            del environment["PYTHONPATH"]  # jobs bring the package
            node = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.nodes[number] = node
        _wait(lambda: _network_of(node.pid) not in (_network_of(os.getpid()), None), "namespace")
        plug = _PLUG.format(n=number, pid=node.pid)
        subprocess.run(self.inside("sh", "-c", plug), check=True)
        log = folder / "start.log"
        _wait(lambda: "will now block" in log.read_text(), f"machine {number}")

    def kill(self, number: int) -> None:
        """Pull the plug of a machine."""
        node = self.nodes.pop(number)
        node.kill()
        node.wait()
        command = self.inside("sh", "-c", f"ip link del ve{number} 2>/dev/null || true")
        subprocess.run(command, check=True)

    def boot_all(self) -> None:
        """Switch on a head without CPUs and two workers with two each; wait for all of them."""
        self.boot(1, 0, is_head=True)
        self.boot(2, 2)
        self.boot(3, 2)
        self.wait_for_cpus(4)

    def wait_for_cpus(self, cpus: int) -> None:
        """Wait until all machines have joined."""
        _wait(lambda: self._cpus() >= cpus, f"{cpus} CPUs")

    def _cpus(self) -> float:
        program = (
            "import json, sys, urllib.request\n"
            "request = urllib.request.Request(sys.argv[1] + '/api/v0/nodes?detail=1', headers="
            "{'Authorization': 'Bearer ' + sys.argv[2]})\n"
            "try: nodes = json.load(urllib.request.urlopen(request, timeout=5))\n"
            "except OSError: print(-1); sys.exit()\n"
            "nodes = nodes['data']['result']['result']\n"
            "print(sum(n['resources_total'].get('CPU', 0) + 0.001 for n in nodes"
            " if n['state'] == 'ALIVE'))"
        )
        return float(self.python(program, ADDRESS, self.environment["RAY_AUTH_TOKEN"]))

    def upload(self, folder: Path, uri: str) -> None:
        """Copy a folder to object storage."""
        program = (
            "import sys\nfrom pathlib import Path\nfrom catalogtool import storage\n"
            "folder = Path(sys.argv[1])\n"
            "for path in folder.rglob('*'):\n"
            "    if path.is_file():\n"
            "        name = str(path.relative_to(folder))\n"
            "        storage.write_bytes(storage.join(sys.argv[2], name), path.read_bytes())\n"
        )
        self.python(program, str(folder), uri)

    def hashes(self, uri: str) -> dict[str, str]:
        """SHA-256 of all files below an address, by their relative names."""
        program = (
            "import hashlib, json, sys\nfrom catalogtool import storage\n"
            "root = storage.normalise(sys.argv[1])\n"
            "files = [info.uri for info in storage.list_files(root)]\n"
            "print(json.dumps({file[len(root) + 1:]: hashlib.sha256(data).hexdigest()"
            " for file, data in zip(files, storage.read_many(files))}))"
        )
        import json

        found: dict[str, str] = json.loads(self.python(program, uri))
        return found


@contextmanager
def running_rig(folder: Path) -> Iterator[Rig]:
    """A network with an S3 server and no machines yet; all of it ends with the block."""
    require_namespaces()
    Path("/tmp/ray").mkdir(exist_ok=True)  # noqa: S108 - where every machine mounts its own
    hold = ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "sh", "-c"]
    holder = subprocess.Popen(
        [*hold, _HOLD.format(bridge=BRIDGE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    rig = Rig(folder, holder.pid, {})
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        with _s3_server(rig):
            try:
                yield rig
            finally:
                for number in list(rig.nodes):
                    rig.kill(number)
    finally:
        holder.communicate()  # its input ends, and so does it


@contextmanager
def _s3_server(rig: Rig) -> Iterator[None]:
    folder = rig.folder / "s3"
    folder.mkdir()
    command = rig.inside(sys.executable, __file__, str(folder))
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        rig.environment.update(_environment(port))
        yield
    finally:
        server.communicate()  # its input ends, and so does it


def _environment(port: int) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "RAY_"))}
    return kept | {
        **s3_environment(port, BRIDGE),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # nothing more important runs beside them
    }


def _network_of(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None


def _wait(condition: object, what: str) -> None:
    assert callable(condition)
    deadline = time.monotonic() + _START_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)


if __name__ == "__main__":
    with running_server(Path(sys.argv[1]), host=BRIDGE) as s3_port:
        print(s3_port, flush=True)  # noqa: T201 - told to the process that started this one
        sys.stdin.read()
