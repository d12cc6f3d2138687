"""faces: 200 grey images of 25 × 25 pixels, in [0, 1], as rows: 100 faces, then 100 others; X is 200 × 625 float64.

Source: a subset of Labeled Faces in the Wild (Huang et al. 2012), the file `skimage/data/lfw_subset.npy` of the PyPI
package scikit-image 0.26.0 (13.7 MB, fetched and not installed).
Licence: BSD-3-Clause, as the package states it.
Components: parts of faces and how they are lit (eyes, cheeks, one side in shadow), each a row of V seen as a
25 × 25 image.
Attributes: `image_shape`, `source`, `licence`.
"""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE = "scikit-image==0.26.0"


def write(out: Path) -> None:
    """Fetch the images and write X (200 × 625) to a Zarr array at `out`."""
    (content,) = wheel(PACKAGE, "skimage/data/lfw_subset.npy")
    images = np.load(BytesIO(content))
    attributes = {
        "source": f"PyPI {PACKAGE}, skimage/data/lfw_subset.npy (Labeled Faces in the Wild)",
        "licence": "BSD-3-Clause",
        "image_shape": list(images.shape[1:]),
    }
    publish(images.reshape(len(images), -1), out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("faces", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
