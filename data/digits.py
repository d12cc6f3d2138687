"""digits: 1797 handwritten digits as rows of 8 × 8 grey values, 0 (paper) to 16 (ink); X is 1797 × 64 float32.

Source: the test part of the UCI "Optical Recognition of Handwritten Digits", as `sklearn.datasets.load_digits`
holds it (scikit-learn must be installed; nothing is fetched).
Licence: BSD-3-Clause, scikit-learn's.
Components: strokes and loops, each a row of V seen as an 8 × 8 image, which digits share.
Attributes: `labels` (which digit each row is), `image_shape`, `source`, `licence`.
"""

import sys
from pathlib import Path

from fetch import parser, publish, run
from sklearn.datasets import load_digits


def write(out: Path) -> None:
    """Write X (1797 × 64) to a Zarr array at `out`."""
    digits = load_digits()
    attributes = {
        "source": "scikit-learn, sklearn.datasets.load_digits (UCI Optical Recognition of Handwritten Digits)",
        "licence": "BSD-3-Clause",
        "image_shape": [8, 8],
        "labels": digits.target.tolist(),
    }
    publish(digits.data.astype("f4"), out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("digits", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
