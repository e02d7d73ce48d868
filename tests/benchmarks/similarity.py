"""Similarity search over many embeddings: time to build, memory, time per query and recall.

``python tests/benchmarks/similarity.py [--rows 10000000] [--size 128] [--queries 50]``

draws clustered embeddings block by block from a seed, so that they need no memory, builds the index
and prints what it took; queries are rows of the table, ranked by their true distances, which are
drawn again, as they would be read from the parts of a run.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from catalogtool.similarity.index import Search

_BLOCK = 50_000


class Drawn:
    """Embeddings that are drawn where they are needed."""

    identity = "drawn"

    def __init__(self, rows: int, size: int) -> None:
        self.rows = rows
        self.centres = np.random.default_rng(0).normal(size=(2000, size)).astype(np.float32)

    def block(self, number: int) -> np.ndarray:
        rng = np.random.default_rng((1, number))
        count = min(_BLOCK, self.rows - number * _BLOCK)
        chosen = self.centres[rng.integers(0, len(self.centres), count)]
        noise = rng.standard_normal(chosen.shape, dtype=np.float32)
        return chosen + np.float32(0.5) * noise

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for number in range(-(-self.rows // _BLOCK)):
            matrix = self.block(number)
            yield number * _BLOCK + np.arange(len(matrix)), matrix

    def take(self, rows: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        found = np.empty((len(rows), self.centres.shape[1]), dtype=np.float32)
        for number in np.unique(rows // _BLOCK).tolist():
            here = rows // _BLOCK == number
            found[here] = self.block(number)[rows[here] % _BLOCK]
        return pa.table({"object_id": rows}), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--queries", type=int, default=50)
    arguments = parser.parse_args()
    drawn = Drawn(arguments.rows, arguments.size)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        search = Search(drawn, folder)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{arguments.rows:,} x {arguments.size}: built in {seconds:.0f} s, peak "
            f"{peak:.2f} GiB, recall of 20 {search.recall:.3f}",
            flush=True,
        )
        rows = np.random.default_rng(2).integers(0, arguments.rows, arguments.queries)
        _, vectors = drawn.take(rows)
        looking = []
        for vector in vectors:
            begin = time.perf_counter()
            search._index.search(vector[None], 200)
            looking.append(1000 * (time.perf_counter() - begin))
        print(f"index alone: median {np.median(looking):.1f} ms a query")
        begin = time.perf_counter()
        found = [search.nearest(vector, 20)[0][0] for vector in vectors[:5]]
        whole = (time.perf_counter() - begin) / 5
        print(
            f"with true distances of 200 drawn again: {whole:.2f} s; itself first: "
            f"{np.mean(np.array(found) == rows[:5]):.0%}"
        )
        begin = time.perf_counter()
        Search(drawn, folder)
        print(f"opened again in {time.perf_counter() - begin:.1f} s")


if __name__ == "__main__":
    main()
