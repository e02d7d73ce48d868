"""Mutate alert packets and archives by the hundred thousand; print crashes, hangs and peak memory.

``python tests/benchmarks/alert_fuzzing.py [MUTATIONS]``: most are drawn at random (byte flips,
truncations, splices, large numbers), and a twentieth is found by a coverage-guided fuzzer
where atheris is installed. All run in child processes, so that even the end of one is a finding.
"""

import importlib.util
import io
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

GUIDED = "--guided" in sys.argv
if GUIDED:
    import atheris

    watched: AbstractContextManager[Any] = atheris.instrument_imports(
        include=["catalogtool.inputs"]
    )
else:
    watched = nullcontext()

sys.path.insert(0, str(Path(__file__).parents[1] / "inputs"))
with watched:
    from alert_samples import alert_survey, candidate, message, packet, rubin_packet, schema_of

    from catalogtool.flags import Flag
    from catalogtool.inputs._alerts import AlertFormat
    from catalogtool.inputs._alerts.byte_source import ByteSource, gunzipped
    from catalogtool.inputs._alerts.container import FoundPacket, packets_in
    from catalogtool.inputs._alerts.planes import fill_cutouts
    from catalogtool.inputs._alerts.tar import members
    from catalogtool.inputs.rubin_alerts import Format as RubinFormat
    from catalogtool.inputs.ztf_alerts import Format as ZtfFormat

BATCH = 10_000
SLOW_S = 1.0
TOGETHER = 16
GUIDED_SHARE = 0.05
SCHEMA_PART = 0.5
"""About so much of the small files is their schema, which costs milliseconds to parse."""
BEHIND_SHARE = 0.85
EXTREMES = (b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x01", b"\x80" * 9 + b"\x01", b"\xff" * 16)


def archive(files: list[bytes], mode: str) -> bytes:
    """A tar archive of packets."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for number, data in enumerate(files):
            info = tarfile.TarInfo(f"{number}.avro")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def bases() -> list[tuple[str, bytes]]:
    """What is mutated: all kinds of files, small ones, so that mutations hit what matters."""
    small = [np.full((9, 9), n, dtype=np.float32) for n in range(3)]
    records = [candidate(candid, small, earlier=2) for candid in (1, 2, 3)]
    ztf = [packet(*records, codec=codec) for codec in ("null", "deflate", "snappy")]
    ztf += [packet(records[0]), packet(candidate(4, earlier=1)), message(records[0])]
    ztf += [archive(ztf[3:5], "w"), archive(ztf[3:5], "w:gz")]
    return [("ztf", data) for data in ztf] + [("rubin", rubin_packet(n, 9)) for n in (5, 6)]


class Reader:
    """Does with files all that a run does; facts and histories of many packets at a time."""

    def __init__(self, source: AlertFormat) -> None:
        self.source = source
        self.batch = source.empty_cutouts(1)
        self.pending: list[dict[str, Any]] = []

    def use(self, data: bytes) -> None:
        """List and read a file."""
        source = self.source
        for found in files_in(data, source):
            source._measured(found)
            read = source._read(found, "reading")
            if isinstance(read, Flag):
                continue
            images = source.images(read.record)
            wanted = [images.get(band) for band in source.survey.band_names]
            fill_cutouts(self.batch, 0, wanted, source.edge(read.measurement))
            self.pending.append(read.measurement)
            if len(self.pending) == TOGETHER:
                self.flush()
                past = source._read(found, "history")
                if not isinstance(past, Flag):
                    source._history(past)

    def flush(self) -> None:
        """Facts of what was read."""
        self.source.facts(self.pending)
        self.source.observed_mjd(self.pending)
        self.pending = []


def files_in(data: bytes, source: AlertFormat) -> Iterator[FoundPacket]:
    """Packets of a file, taken for what it may be."""
    zipped = data[:2] == b"\x1f\x8b"
    if not zipped and data[257:262] != b"ustar":
        yield from packets_in(ByteSource([data]), source.fields, schema_of)
        return
    for member in members(ByteSource(gunzipped([data]) if zipped else [data])):
        yield from packets_in(ByteSource([member.data]), source.fields, schema_of)


def mutated(rng: np.random.Generator, originals: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One file with one to four kinds of damage, most of it behind the schema."""
    name, original = originals[rng.integers(len(originals))]
    data = bytearray(original)
    for _ in range(rng.integers(1, 5)):
        start = int(len(data) * SCHEMA_PART) if rng.random() < BEHIND_SHARE else 0
        at = int(rng.integers(start, len(data) + 1))
        kind = rng.integers(6)
        if kind == 0:
            for place in rng.integers(start, len(data), size=rng.integers(1, 9)) if data else ():
                data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            _, other = originals[rng.integers(len(originals))]
            begin = int(rng.integers(len(other)))
            data[at : at + int(rng.integers(200))] = other[begin : begin + int(rng.integers(500))]
        elif kind == 3:
            extreme = EXTREMES[rng.integers(len(EXTREMES))]
            data[at : at + len(extreme)] = extreme
        elif kind == 4:
            data[at : at + int(rng.integers(1, 64))] = b""
        else:
            data[at : at + 1] = bytes([int(rng.integers(256))])
    return name, bytes(data)


def both() -> dict[str, Reader]:
    """Readers of both formats, of small cutouts."""
    rubin = RubinFormat(alert_survey(16, "rubin_alerts"), None)
    return {"ztf": Reader(ZtfFormat(alert_survey(16), None)), "rubin": Reader(rubin)}


def run_batch(seed: int, count: int) -> None:
    """Mutate in this process; print what was found: crashes, slow ones, the slowest, memory."""
    rng = np.random.default_rng(seed)
    readers, originals = both(), bases()
    crashes = slow = 0
    slowest = 0.0
    for _ in range(count):
        name, data = mutated(rng, originals)
        started = time.perf_counter()
        cpu = time.process_time()
        try:
            readers[name].use(data)
        except Exception as error:  # noqa: BLE001 - every exception is a finding
            crashes += 1
            Path(f"crash-{seed}-{crashes}.bin").write_bytes(data)
            print(f"seed {seed}: {type(error).__name__}: {error}", file=sys.stderr)
        taken = min(time.perf_counter() - started, time.process_time() - cpu)
        slow += taken > SLOW_S
        slowest = max(slowest, taken)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(crashes, slow, slowest, memory_mib)


def run_guided(count: int, folder: Path) -> None:
    """Let atheris look for files that take new ways through the readers."""
    readers = both()
    for number, (name, data) in enumerate(bases()):
        (folder / f"{number}").write_bytes(name[:1].encode() + data)

    def used(data: bytes) -> None:
        readers["ztf" if data[:1] == b"z" else "rubin"].use(data[1:])

    options = [f"-runs={count}", "-max_len=30000", "-timeout=5", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(folder)], used)
    atheris.Fuzz()


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """This script in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main(mutations: int) -> None:
    """Run batches in processes of their own and add up what they find."""
    drawn = round(mutations * (1 - GUIDED_SHARE))
    totals = np.zeros(2, dtype=int)
    slowest = memory_mib = ended = 0.0
    for seed, start in enumerate(range(0, drawn, BATCH)):
        batch = child("--batch", str(seed), str(min(BATCH, drawn - start)))
        print(batch.stderr, end="")
        if batch.returncode:
            ended += 1
            print(f"seed {seed}: the process ended with {batch.returncode}")
            continue
        crashes, slow, seconds, memory = batch.stdout.split()
        totals += [int(crashes), int(slow)]
        slowest, memory_mib = max(slowest, float(seconds)), max(memory_mib, float(memory))
    print(
        f"{drawn} drawn mutations: {totals[0]} crashes, {ended:.0f} ends of a process, "
        f"{totals[1]} slower than {SLOW_S} s, slowest {slowest:.2f} s, peak {memory_mib:.0f} MiB"
    )
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: no coverage-guided mutations")
        return
    with tempfile.TemporaryDirectory() as folder:
        guided = child("--guided", str(mutations - drawn), folder)
    found = [line for line in guided.stderr.splitlines() if "stat::" in line or "cov:" in line]
    print(f"{mutations - drawn} guided mutations, exit code {guided.returncode}:")
    print("\n".join(found[-6:] if not guided.returncode else guided.stderr.splitlines()[-40:]))


if __name__ == "__main__":
    if GUIDED:
        run_guided(int(sys.argv[2]), Path(sys.argv[3]))
    elif "--batch" in sys.argv:
        run_batch(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 212_000)
