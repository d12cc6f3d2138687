"""First factors for X in memory: those that scikit-learn makes from the same X and random state, and the caller's own.

C. Boutsidis and E. Gallopoulos, Pattern Recognition 41, 2008, doi:10.1016/j.patcog.2007.09.010: NNDSVD.
"""

import warnings
from numbers import Integral

import numpy as np
from numpy.typing import DTypeLike

from dnmf.arrays.rows import Array
from dnmf.estimators.scikit_learn import (
    ArrayLike,
    Seed,
    check_array,
    check_non_negative,
    check_random_state,
    randomized_svd,
)

Factors = tuple[Array, Array]

# Entries of singular vectors below this count as zero.
ZERO = 1e-6


def first_factors(X: ArrayLike, k: int, init: str | None, random_state: Seed) -> Factors:
    """W (m × k) and H (k × n) in X's dtype.

    Parameters
    ----------
    X : (m, n), dense or sparse, not negative.
    k : number of components.
    init : "random", "nndsvd", "nndsvda", "nndsvdar", or None for "nndsvda" where X has k singular vectors and "random"
        where not.
    random_state : int, RandomState or None.

    Raises
    ------
    ValueError
        If X has fewer than k singular vectors and they are asked for.

    Examples
    --------
    >>> W, H = first_factors(np.ones((3, 2)), 1, "nndsvd", 0)
    >>> (W @ H).round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """
    enough = k <= min(X.shape)
    if init not in (None, "random") and not enough:
        raise ValueError(f"init = '{init}' can only be used when n_components <= min(n_samples, n_features)")
    init = init or ("nndsvda" if enough else "random")
    if init == "random":
        return _random(X, k, check_random_state(random_state))
    W, H = _singular(*randomized_svd(X, k, random_state=random_state))
    if init == "nndsvd":
        return W, H
    mean = X.mean()
    # A second generator from the same state: scikit-learn draws the fillings independently of the singular vectors.
    rng = check_random_state(random_state) if init == "nndsvdar" else None
    for factor in (W, H):
        zero = factor == 0
        factor[zero] = mean if rng is None else np.abs(mean * rng.standard_normal(np.count_nonzero(zero)) / 100)
    return W, H


def _random(X: ArrayLike, k: int, rng: np.random.RandomState) -> Factors:
    """Absolute values of normal numbers, so large that W H is about as large as X."""
    scale = np.sqrt(X.mean() / k)
    H = np.abs(scale * rng.standard_normal((k, X.shape[1])).astype(X.dtype, copy=False))
    W = np.abs(scale * rng.standard_normal((X.shape[0], k)).astype(X.dtype, copy=False))
    return W, H


def _singular(U: Array, s: Array, Vt: Array) -> Factors:
    """Of every rank-one term s u vᵀ the larger of its two non-negative parts: u₊ v₊ᵀ and u₋ v₋ᵀ. The first has one."""
    parts = [(np.maximum(sign * U.T, 0), np.maximum(sign * Vt, 0)) for sign in (1, -1)]
    lengths = [(np.linalg.norm(u, axis=1), np.linalg.norm(v, axis=1)) for u, v in parts]
    positive = lengths[0][0] * lengths[0][1] > lengths[1][0] * lengths[1][1]
    u, v = (np.where(positive[:, None], *sides) for sides in zip(*parts, strict=True))
    a, b = (np.where(positive, *sides) for sides in zip(*lengths, strict=True))
    u[0], v[0], a[0], b[0] = np.abs(U[:, 0]), np.abs(Vt[0]), 1, 1
    size = np.sqrt(s * (a * b))
    W, H = (
        part * np.divide(size, length, out=np.zeros_like(size), where=length > 0)[:, None]
        for part, length in ((u, a), (v, b))
    )
    for factor in (W, H):
        factor[factor < ZERO] = 0
    return np.ascontiguousarray(W.T), H


def given_factor(F: ArrayLike, shape: tuple[int | None, int | None], whom: str) -> Array:
    """The caller's own factor, checked and not copied; None in a shape is any length.

    Raises
    ------
    ValueError
        If it is missing, of another shape, negative, not finite, or zero everywhere.
    """
    if F is None:
        raise ValueError(f"there is no array for {whom}: pass one, or choose another init than 'custom'")
    F = check_array(F, dtype=[np.float64, np.float32])
    for axis, name in enumerate(("first", "second")):
        if shape[axis] not in (None, F.shape[axis]):
            raise ValueError(
                f"Array with wrong {name} dimension passed to {whom}. Expected {shape[axis]}, but got {F.shape[axis]}."
            )
    check_non_negative(F, whom)
    if F.max() == 0:
        raise ValueError(f"Array passed to {whom} is full of zeros.")
    return np.asarray(F)


def custom_factors(W: ArrayLike, H: ArrayLike, shape: tuple[int, int], k: int | None, dtype: DTypeLike) -> Factors:
    """The caller's own W (m × k) and H (k × n), checked; k is None where they may say it."""
    H = given_factor(H, (k, shape[1]), "NMF (input H)")
    W = given_factor(W, (shape[0], k or len(H)), "NMF (input W)")
    if H.dtype != dtype or W.dtype != dtype:
        raise TypeError(f"H and W should have the same dtype as X. Got H.dtype = {H.dtype} and W.dtype = {W.dtype}.")
    return W, H


def warn_if_ignored(W: ArrayLike, H: ArrayLike) -> None:
    """Say that factors are of no use without init='custom'."""
    if W is not None or H is not None:
        warnings.warn(
            "When init!='custom', provided W or H are ignored. Set  init='custom' to use them as initialization.",
            RuntimeWarning,
            stacklevel=2,
        )


def seed_of(random_state: Seed) -> int:
    """A seed for the engine: an integer is one, anything else draws one."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
