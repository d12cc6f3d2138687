"""The sparse matrices of `sparse_peers.py`: counts of words that are drawn from topics, and those of news stories.

Both are kept as Zarr groups in AnnData's layout, in chunks of 2 MiB, and none is ever whole in memory while it is made.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from peer_data import poisson, script
from scipy import sparse

from dnmf.formats.convert import SPARSE_CHUNK, convert

# Words that are drawn at a time.
STRIP_WORDS = 2**22

# Rows of which the share of different words among all is estimated.
TRIAL_ROWS = 500


@dataclass(frozen=True, slots=True)
class Topics:
    """X (rows × columns) of word counts with about so many non-zeros: topics, Zipf's law, texts of different lengths.

    A topic's words are as frequent as Zipf's law says (1 / (rank + 10)), times a gamma-distributed number of its own; a
    text mixes topics by a Dirichlet distribution, most of them little; lengths are log-normal.
    """

    rows: int
    columns: int
    non_zeros: int
    topics: int = 20
    seed: int = 0

    def written(self, folder: Path) -> Path:
        """A path in the folder where X is, written unless it was before. Writes to disk."""
        path = folder / f"topics-{self.rows}x{self.columns}-{self.non_zeros}.zarr"
        if path.exists() and zarr.open_group(path, mode="r").attrs.get("recipe") == asdict(self):
            return path
        shutil.rmtree(path, ignore_errors=True)
        new = path.with_suffix(".new")
        group = _new_group(new, (self.rows, self.columns))
        ends = [np.zeros(1, "i8")]
        for X in self._strips():
            _member(group, "data").append(X.data)
            _member(group, "indices").append(X.indices)
            ends.append(ends[-1][-1] + X.indptr[1:])
        _member(group, "indptr").append(np.concatenate(ends))
        group.update_attributes({"recipe": asdict(self)})
        new.rename(path)
        return path

    def _strips(self) -> Iterator[Any]:
        """CSR matrices of consecutive rows."""
        cumulative, words = self._cumulative(), self.non_zeros / self.rows
        for _ in range(5):
            found = self._strip(cumulative, words, 0, min(TRIAL_ROWS, self.rows)).nnz
            words *= self.non_zeros / self.rows * min(TRIAL_ROWS, self.rows) / found
        height = max(1, int(STRIP_WORDS / words))
        for start in range(0, self.rows, height):
            yield self._strip(cumulative, words, start, min(start + height, self.rows))

    def _cumulative(self) -> np.ndarray:
        """(topics, columns): how likely a word of a topic is one of the columns up to this one."""
        rng = np.random.default_rng([self.seed, 0])
        frequencies = 1 / (rng.permutation(self.columns) + 10)
        likely = frequencies * rng.gamma(0.2, size=(self.topics, self.columns))
        return np.cumsum(likely / likely.sum(axis=1, keepdims=True), axis=1)

    def _strip(self, cumulative: np.ndarray, words: float, start: int, stop: int) -> Any:
        """Rows start to stop − 1 (h × columns) float32, of so many words on average."""
        rng, height = np.random.default_rng([self.seed, 1, start]), stop - start
        lengths = 1 + rng.poisson(words * rng.lognormal(-0.32, 0.8, size=height))
        of_topic = rng.multinomial(lengths, rng.dirichlet(np.full(self.topics, 0.1), size=height))
        rows = np.concatenate([np.repeat(np.arange(height), counts) for counts in of_topic.T])
        drawn = [np.searchsorted(c, rng.random(n)) for c, n in zip(cumulative, of_topic.sum(axis=0), strict=True)]
        columns = np.minimum(np.concatenate(drawn), self.columns - 1)
        # Where one word comes twice, the constructor adds up.
        return sparse.csr_matrix((np.ones(len(rows), "f4"), (rows, columns)), shape=(height, self.columns))


def _new_group(path: Path, shape: tuple[int, int]) -> zarr.Group:
    """An empty CSR matrix in AnnData's layout. Writes to disk."""
    shutil.rmtree(path, ignore_errors=True)
    facts = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(shape)}
    group = zarr.create_group(path, attributes=facts)
    for name, dtype in (("data", "f4"), ("indices", "i4"), ("indptr", "i8")):
        chunk = SPARSE_CHUNK // np.dtype(dtype).itemsize
        group.create_array(name, shape=(0,), chunks=(chunk,), dtype=dtype)
    return group


def _member(group: zarr.Group, name: str) -> Any:
    return group[name]


def dense(path: Path) -> np.ndarray:
    """A Zarr array, whole."""
    return np.asarray(zarr.open_array(path, mode="r")[...])


def stories(folder: Path) -> Path:
    """Word counts of 395 news stories, 395 × 4258 (see data/documents.py), as CSR. Writes to disk."""
    path = folder / "stories.zarr"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            script("documents")(Path(scratch, "dense.zarr"))
            sparse.save_npz(Path(scratch, "X.npz"), sparse.csr_matrix(dense(Path(scratch, "dense.zarr"))))
            convert(Path(scratch, "X.npz"), path)
    return path


def counts(folder: Path) -> Path:
    """Poisson counts, 20 000 × 500, of rank 15, dense. Writes to disk."""
    path = folder / "poisson.zarr"
    if not path.exists():
        new = folder / "poisson.new"
        shutil.rmtree(new, ignore_errors=True)
        poisson(new)
        new.rename(path)
    return path


def in_memory(path: Path) -> Any:
    """X in this process: an array, or a csr_matrix."""
    X = zarr.open(path, mode="r")
    if isinstance(X, zarr.Array):
        return np.asarray(X[...])
    data, indices, indptr = (_member(X, name)[...] for name in ("data", "indices", "indptr"))
    return sparse.csr_matrix((data, indices, indptr.astype(indices.dtype)), shape=X.attrs["shape"])
