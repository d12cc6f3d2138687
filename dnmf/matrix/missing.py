"""Which entries of X are missing, where whoever gives X says that some are: NaN; or, of sparse X, what is not stored.

One sentence for all: an entry that is there is *observed*, and counts; of a missing one nothing is known. In strips a
number that is masked, or is a code for none, is NaN until they are `Weighted`.
"""

from typing import Any, Literal

import numpy as np

from dnmf.arrays.rows import Array, Rows
from dnmf.arrays.weighted import Weighted

# "nan": NaN is missing, and so is what a mask or a code says is no number. "zeros": what sparse X does not store.
# "weights": weights beside X say it, and a number that does not count may be anything.
Missing = Literal["nan", "zeros", "weights"]

# What to do where NaN, a mask or a code was met and nobody said what that means.
SAY_SO = 'if nothing is known there, say so: --missing nan (missing="nan")'

# What to do where an entry below zero was.
ALLOW = 'for least squares, allow it with --negative allow (negative="allow")'


def named_missing(missing: object) -> Missing | None:
    """What a caller says is missing.

    Raises
    ------
    ValueError
        If that is nothing that can be.
    """
    if missing is None:
        return None
    if missing == "nan" or missing == "zeros":
        return missing
    raise ValueError(
        f"missing is {missing!r}: 'nan', where NaN is missing, 'zeros', where what sparse X does not store is missing, "
        f"or None are possible"
    )


def check_possible(missing: Missing | None, location: str, *, sparse: bool) -> None:
    """Refuse what cannot be said of dense, or of sparse X (ValueError)."""
    if missing == "zeros" and not sparse:
        raise ValueError(
            f"missing is 'zeros', and X, {location}, is dense: every entry of it is stored. Set those that are missing "
            f"to NaN (missing='nan'), give weights that are 0 there, or give X as a sparse matrix"
        )
    if missing == "nan" and sparse:
        raise ValueError(
            f"missing is 'nan', and X, {location}, is sparse: what it does not store would be known to be 0, and with "
            f"that it is as good as dense. Give it as a dense array, or, if what is not stored is missing, say "
            f"missing='zeros'"
        )


def without_missing(rows: Rows, missing: Missing | None, *, own: bool) -> Rows:
    """Rows (h, N) as they were read, with a weight for each entry, where some may be missing: a mask.

    `own` says whether dense rows are in memory that nobody else sees: else they are copied where NaN becomes 0.

    Examples
    --------
    >>> found = without_missing(np.array([[1.0, np.nan]]), "nan", own=False)
    >>> found.values, found.weights
    (array([[1., 0.]]), array([[ True, False]]))
    """
    if missing == "zeros":
        return Weighted(rows, np.ones(rows.nnz, np.bool_))
    return _without_nan(rows, own=own) if missing == "nan" else rows


def _without_nan(rows: Array, *, own: bool) -> Weighted:
    lacking = np.isnan(rows)
    if lacking.any():
        rows = rows if own and rows.flags.writeable else rows.copy(order="K")
        rows[lacking] = 0
    return Weighted(rows, np.logical_not(lacking, out=lacking))


def as_nan(x: Any, lacking: Any, dtype: np.dtype[Any]) -> Any:
    """Numbers in a dtype that has NaN, which is in the place of those that are lacking."""
    y = x.astype(dtype)
    y[lacking] = np.nan
    return y
