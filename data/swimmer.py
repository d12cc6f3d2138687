"""swimmer: 256 pictures of a torso with four limbs, each in one of four positions; X is 256 × 1024 float32, 0 or 1.

Source: made by this script after Donoho and Stodden 2003 (When does non-negative matrix factorization give a correct
decomposition into parts?, NIPS 16); nothing is fetched.
Licence: none is needed, nothing of anybody else is in it.
Components: 16 limbs, which is known beforehand; the torso is in every picture, and is shared out among them.
Attributes: `image_shape`, `limbs` (the pixels of each of the 16), `source`, `licence`.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
from fetch import parser, publish, run

SHAPE, LENGTH = (32, 32), 6
TORSO = (slice(10, 18), slice(15, 17))
# Where each limb begins, (row, column), and its four directions.
JOINTS = {
    (10, 15): [(-1, -1), (-1, 0), (0, -1), (1, -1)],
    (10, 16): [(-1, 1), (-1, 0), (0, 1), (1, 1)],
    (17, 15): [(1, -1), (1, 0), (0, -1), (-1, -1)],
    (17, 16): [(1, 1), (1, 0), (0, 1), (-1, 1)],
}


def limb(joint: tuple[int, int], direction: tuple[int, int]) -> np.ndarray:
    """Pixels of one limb, a line of six."""
    steps = np.arange(1, LENGTH + 1)[:, None]
    rows, columns = (np.array(joint) + steps * np.array(direction)).T
    return np.ravel_multi_index((rows, columns), SHAPE)


def write(out: Path) -> None:
    """Write X (256 × 1024), one row per pose, to a Zarr array at `out`."""
    limbs = [[limb(joint, direction) for direction in directions] for joint, directions in JOINTS.items()]
    torso = np.zeros(SHAPE, "f4")
    torso[TORSO] = 1
    X = np.tile(torso.ravel(), (4 ** len(limbs), 1))
    for row, pose in zip(X, product(*limbs), strict=True):
        row[np.concatenate(pose)] = 1
    attributes = {
        "source": "made after Donoho and Stodden 2003",
        "licence": "none is needed",
        "image_shape": list(SHAPE),
        "limbs": [pixels.tolist() for positions in limbs for pixels in positions],
    }
    publish(X, out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("swimmer", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
