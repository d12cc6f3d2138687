"""sources: 12 mixtures of 4 pictures, without noise; pixels are rows, X is 4096 × 12 float32, its mean about 1.

Four pictures of 64 × 64 pixels, handwriting, coins, a phantom of a head and a horse, each light on dark: of handwriting
and horse the negative. What is below the median of a picture is set to zero, so that half of its pixels are, and its
mean to 1. A sensor, a column of X, sees all four, each in an amount that is drawn from U(0, ½) with seed 0.

Source: the pictures text, coins, phantom and horse in `skimage/data/` of the PyPI package scikit-image 0.26.0 (13.7 MB,
fetched and not installed). Reading them needs Pillow.
Licence: BSD-3-Clause, as the package states it.
Components: the pictures are the columns of W, and V says how much of each a sensor sees: both are known here.
Attributes: `image_shape`, `names` of the pictures, `amounts` (4 × 12, how much of each a sensor sees), `source`,
`licence`.
"""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel
from PIL import Image

PACKAGE = "scikit-image==0.26.0"
SIDE, SENSORS = 64, 12

# Name, and whether the negative is taken.
PICTURES = {"text": True, "coins": False, "phantom": False, "horse": True}


def picture(content: bytes, *, negative: bool) -> np.ndarray:
    """The middle square of a picture as 4096 grey values ≥ 0: half of them 0, their mean 1."""
    image = Image.open(BytesIO(content)).convert("L")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(square, float).ravel()
    grey = 255 - grey if negative else grey
    above = np.maximum(grey - np.median(grey), 0)
    return above / above.mean()


def pictures() -> np.ndarray:
    """Fetch the pictures: the true sources, a column each, 4096 × 4."""
    contents = wheel(PACKAGE, *(f"skimage/data/{name}.png" for name in PICTURES))
    negatives = PICTURES.values()
    return np.stack([picture(c, negative=n) for c, n in zip(contents, negatives, strict=True)], axis=1)


def amounts() -> np.ndarray:
    """How much of each picture a sensor sees, 4 × 12: on average a quarter, so that the mean of X is about 1."""
    return np.random.default_rng(0).random((len(PICTURES), SENSORS)) / 2


def write(out: Path) -> None:
    """Fetch the pictures and write X (4096 × 12) to a Zarr array at `out`."""
    attributes = {
        "source": f"PyPI {PACKAGE}, skimage/data/, mixed",
        "licence": "BSD-3-Clause",
        "image_shape": [SIDE, SIDE],
        "names": list(PICTURES),
        "amounts": amounts().tolist(),
    }
    publish((pictures() @ amounts()).astype("f4"), out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("sources", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
