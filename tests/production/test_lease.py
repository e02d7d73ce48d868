"""A lease has one holder, whatever becomes of it; all holders are real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalogtool import storage
from catalogtool.errors import LockedError
from catalogtool.production._process import ProcessIdentity
from catalogtool.production.lease import lease

HOLDER = Path(__file__).parent / "lease_holder.py"
RACERS = 6
LONG_S = 600.0
SHORT_S = 1.0
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return f"{request.getfixturevalue('s3_bucket')}/locks/clash.json"
    return str(tmp_path / "locks" / "clash.json")


@pytest.fixture
def start(uri: str) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(ttl_s: float, begin: float = 0.0) -> subprocess.Popen[str]:
        command = [sys.executable, str(HOLDER), uri, str(ttl_s), str(begin)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> str:
    return process.communicate("end\n", timeout=60)[0].strip()


def rewrite(uri: str, **changes: object) -> None:
    record = json.loads(storage.read_bytes(uri))
    storage.write_bytes(uri, json.dumps({**record, **changes}).encode())


def test_of_many_racing_processes_exactly_one_holds_it(uri: str, start: Start) -> None:
    begin = time.time() + 4
    words = [said(process) for process in [start(LONG_S, begin) for _ in range(RACERS)]]
    assert sorted(words) == ["held"] + ["locked"] * (RACERS - 1)
    # The same once more, over a lease that a dead process left behind.
    rewrite(uri, expires_s=1.0)
    begin = time.time() + 4
    words = [said(process) for process in [start(LONG_S, begin) for _ in range(RACERS)]]
    assert sorted(words) == ["held"] + ["locked"] * (RACERS - 1)


def test_the_error_says_who_holds_it_and_since_when(uri: str) -> None:
    with (
        lease(uri),
        pytest.raises(LockedError, match=rf"process {os.getpid()} on .* since 20\d\d-") as caught,
        lease(uri),
    ):
        pass
    assert caught.value.exit_code == 75


def test_a_released_lease_is_free_at_once(uri: str) -> None:
    for _ in range(3):
        with lease(uri, ttl_s=LONG_S):
            pass


def test_an_error_in_the_block_releases_it_and_is_kept(uri: str) -> None:
    with pytest.raises(ZeroDivisionError), lease(uri, ttl_s=LONG_S):
        _ = 1 / 0
    with lease(uri):
        pass


def test_a_killed_holder_of_this_host_is_replaced_at_once(uri: str, start: Start) -> None:
    holder = start(LONG_S)
    assert said(holder) == "held"
    with pytest.raises(LockedError), lease(uri):
        pass
    # Not yet waited for: a zombie is dead, too.
    holder.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    with lease(uri, ttl_s=LONG_S):
        pass


def test_a_dead_holder_of_another_host_is_replaced_after_expiry(uri: str, start: Start) -> None:
    holder = start(LONG_S)
    assert said(holder) == "held"
    holder.kill()
    holder.wait()
    process = json.loads(storage.read_bytes(uri))["process"] | {"boot_id": "of-another-host"}
    rewrite(uri, process=process, expires_s=time.time() + SHORT_S)
    with pytest.raises(LockedError), lease(uri):
        pass
    time.sleep(SHORT_S)
    with lease(uri):
        pass


def test_a_working_holder_keeps_it_beyond_its_time_to_live(uri: str, start: Start) -> None:
    holder = start(SHORT_S)
    assert said(holder) == "held"
    time.sleep(2.5 * SHORT_S)
    with pytest.raises(LockedError), lease(uri):
        pass
    assert end(holder) == "released"


def test_a_stalled_holder_learns_of_its_loss_and_leaves_the_lease_alone(
    uri: str, start: Start
) -> None:
    holder = start(SHORT_S)
    assert said(holder) == "held"
    holder.send_signal(signal.SIGSTOP)
    time.sleep(1.5 * SHORT_S)
    with lease(uri, ttl_s=LONG_S) as held:
        holder.send_signal(signal.SIGCONT)
        assert end(holder) == "lost"
        held.check()
        with pytest.raises(LockedError, match=f"process {os.getpid()}"), lease(uri):
            pass


def test_a_stalled_holder_that_nobody_replaced_goes_on(start: Start) -> None:
    holder = start(SHORT_S)
    assert said(holder) == "held"
    holder.send_signal(signal.SIGSTOP)
    time.sleep(1.5 * SHORT_S)
    holder.send_signal(signal.SIGCONT)
    assert end(holder) == "released"


def test_a_lost_lease_is_told_at_the_end_of_the_block(uri: str) -> None:
    with pytest.raises(LockedError, match="lost the lease"), lease(uri, ttl_s=LONG_S):
        rewrite(uri, owner="another", expires_s=time.time() + LONG_S)
    assert json.loads(storage.read_bytes(uri))["owner"] == "another"


def test_threads_of_a_process_keep_each_other_out(uri: str) -> None:
    words: list[str] = []
    barrier = threading.Barrier(RACERS)

    def take() -> None:
        barrier.wait()
        try:
            with lease(uri, ttl_s=LONG_S):
                words.append("held")
                barrier.wait()
        except LockedError:
            words.append("locked")
            barrier.wait()

    threads = [threading.Thread(target=take) for _ in range(RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(words) == ["held"] + ["locked"] * (RACERS - 1)


def test_a_file_that_is_no_lease_is_left_alone(uri: str) -> None:
    storage.write_bytes(uri, b"{}")
    with pytest.raises(LockedError, match="not a lease"), lease(uri):
        pass
    assert storage.read_bytes(uri) == b"{}"


def test_a_process_number_that_is_used_again_is_another_process() -> None:
    own = ProcessIdentity.own()
    assert not own.is_known_dead()
    assert own.model_copy(update={"started_ticks": own.started_ticks - 1}).is_known_dead()
    assert not own.model_copy(
        update={"pid_namespace": "of-a-container", "started_ticks": 1}
    ).is_known_dead()
