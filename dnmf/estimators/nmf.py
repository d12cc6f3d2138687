"""`NMF` and `non_negative_factorization`: scikit-learn's parameters and results, dnmf's engine."""

import math
import time
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np

from dnmf.arrays.extent import times_power
from dnmf.estimators.base import (
    IN_MEMORY,
    BaseNMF,
    as_floats,
    computed,
    exponent_of,
    float_of,
    is_small,
    is_stored,
    observed_rows,
    reconstruction_error,
    refuse_zeros,
    say,
    unwrapped,
    warn_of_max_iter,
)
from dnmf.estimators.first_factors import Factors, custom_factors, first_factors, given_factor, seed_of, warn_if_ignored
from dnmf.estimators.own_runs import own_run
from dnmf.estimators.own_words import in_own_words
from dnmf.estimators.row_counts import RowCounts
from dnmf.estimators.scikit_learn import ArrayLike, Seed, check_array, check_non_negative
from dnmf.events import Event, Listener, PassDone, Stopped
from dnmf.factorization.factorize import factorize
from dnmf.matrix.opening import open_matrix
from dnmf.parameters import DECLARED, Names, Range
from dnmf.run.result import Factorization


class NMF(BaseNMF):
    """Non-negative matrix factorization, X ≈ W H, for X of any size.

    scikit-learn's `NMF` with dnmf's engine. Where both do the same thing, parameters, attributes, errors and warnings
    are scikit-learn's.

    Parameters
    ----------
    n_components : number of components k; "auto": that of custom factors, else as many as X in memory has columns;
        None: as many as X in memory has columns.
    init : first factors. None: X is read once for a sample of its rows, which is factorized in memory. "random",
        "nndsvd", "nndsvda", "nndsvdar": for X in memory scikit-learn's own, from the same random state; for other X
        made from that sample. "custom": W and H are passed to `fit` or `fit_transform`.
    solver : "cd" (coordinate descent) or "mu" (multiplicative updates).
    beta_loss : "frobenius" (2), "kullback-leibler" (1), "itakura-saito" (0) or a number; other than 2 with "mu" only.
    tol : stop where one more pass would decrease the loss by less than this share of itself; 0 never stops early.
    max_iter : passes over X at most.
    random_state : int, RandomState or None: of everything random.
    alpha_W, alpha_H : weights of the penalties on W and H; "same": alpha_H is alpha_W.
    l1_ratio : share of the penalties that is on the sum of entries, the rest is on half the sum of their squares.
    verbose : print a line per pass.
    shuffle : set the components of a coordinate descent in random order.
    inner_iter : updates of a factor per pass over X. 1 is scikit-learn's iteration; None makes as many as pay.
    out : path of the run to write; None writes nothing. For X that is not in memory W is then read from there, and
        without it computed from X where and when it is asked for. A run that an `NMF` of this process wrote there is
        replaced, any other is not.
    memory_limit : bytes that a worker, or this process, may use.
    missing : entries that are not there: "nan", those that are NaN; "zeros", those that sparse X does not store. None:
        all are there. `init` other than "custom" is then made of what is there, for X in memory, too.

    Attributes
    ----------
    components_ : H, NumPy array (k, n).
    n_components_ : k.
    reconstruction_err_ : √(2 D(X | W H)) over what is there, of the W that `fit_transform` gives; ‖X − W H‖ for the
        Frobenius loss.
    n_iter_ : passes over X, that of the sample aside.
    n_features_in_, feature_names_in_ : number of X's columns, and their names where it is a DataFrame.

    Notes
    -----
    This differs from scikit-learn in:

    1. `init=None` is another start, for which `fit_transform(X)` is `fit(X).transform(X)`, exactly;
    2. `transform` solves every row by itself: it does not depend on the others;
    3. an iteration updates a factor more than once, unless `inner_iter` is 1, or one iteration from factors of your
       own is asked for. With that, `tol=0` and an explicit `init` the iterates on X in memory are scikit-learn's;
    4. `tol` bounds what the next pass would bring.

    Examples
    --------
    >>> X = np.array([[1, 1], [2, 1], [3, 1.2], [4, 1], [5, 0.8], [6, 1]])
    >>> model = NMF(n_components=2, random_state=0)
    >>> W = model.fit_transform(X)
    >>> bool(abs(W @ model.components_ - X).max() < 0.05)
    True
    """

    def __init__(
        self,
        n_components: int | str | None = "auto",
        *,
        init: str | None = None,
        solver: str = "cd",
        beta_loss: str | float = "frobenius",
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Seed = None,
        alpha_W: float = 0.0,
        alpha_H: str | float = "same",
        l1_ratio: float = 0.0,
        verbose: int = 0,
        shuffle: bool = False,
        inner_iter: int | None = None,
        out: str | Path | None = None,
        memory_limit: int | None = None,
        missing: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.solver = solver
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.verbose = verbose
        self.shuffle = shuffle
        self.inner_iter = inner_iter
        self.out = out
        self.memory_limit = memory_limit
        self.missing = missing

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        W: ArrayLike = None,
        H: ArrayLike = None,
        sample_weight: ArrayLike = None,
    ) -> Self:
        """Factorize X; see `fit_transform`."""
        with in_own_words(missing=True):
            self._fit(X, W, H, sample_weight)
        return self

    def fit_transform(
        self,
        X: ArrayLike,
        y: object = None,
        W: ArrayLike = None,
        H: ArrayLike = None,
        sample_weight: ArrayLike = None,
    ) -> ArrayLike:
        """Factorize X and give W back.

        Parameters
        ----------
        X : (m, n), not negative: in memory (array, DataFrame, scipy.sparse, AnnData), or the path of a Zarr array or of
            a sparse matrix in Zarr, a `zarr.Array` or `zarr.Group` of these, a Dask array.
        y : not used.
        W, H : first factors (m, k) and (k, n), for init="custom" only. Not changed.
        sample_weight : (m,) how often each row of X in memory counts, as if it were there as often. None: once.

        Returns
        -------
        W (m, k): a NumPy array for X in memory; for other X a Dask array, of which nothing is in memory yet.
        """
        with in_own_words(missing=True):
            return self._fit(X, W, H, sample_weight)

    def _fit(self, X: ArrayLike, W: ArrayLike, H: ArrayLike, sample_weight: ArrayLike = None) -> ArrayLike:
        self._check_parameters()
        X = self._named(X)
        if is_stored(X):
            if sample_weight is not None:
                raise ValueError(
                    f"sample_weight is given and X is {X.location}: it is for X in memory; for other X give weights of "
                    f"its entries to `dnmf.factorize`"
                )
            self._check_solver()
            return self._fit_stored(X, W, H)
        X = self._validated(X, reset=True)
        self._check_solver()
        refuse_zeros(X, self._beta)
        check_non_negative(X, "NMF initialization")
        return self._fit_in_memory(X, W, H, sample_weight)

    def _fit_in_memory(self, X: ArrayLike, W: ArrayLike, H: ArrayLike, sample_weight: ArrayLike) -> ArrayLike:
        # With scikit-learn's own iteration W is the iterate, else what any X gets.
        exact = self.init is not None and (self.inner_iter == 1 or self._one_iteration)
        counts = None if sample_weight is None else self._counts(sample_weight, X)
        if counts is not None and self.init == "custom":
            W, H = custom_factors(W, H, X.shape, self._rank(X.shape[1]), float_of(X))
            W = counts.of_rows(W)
        rows = X if counts is None else counts.of_rows(X)
        k, first = self._first(rows, W, H)
        keep_W = exact or self.out is not None
        result = self._factorized(rows, k, first, keep_W=keep_W, counts=counts)
        found = np.asarray(result.W.compute(scheduler="threads")) if exact else self._solved(X)
        solved = counts.back(found, self._solved(X)) if counts is not None and exact else found
        self.reconstruction_err_ = self._error(rows, solved, counts)
        return solved

    def _counts(self, sample_weight: ArrayLike, X: ArrayLike) -> RowCounts:
        """How often each row of X counts, where that goes with the loss and the penalties."""
        counts = RowCounts.of(sample_weight, X.shape[0], self._beta)
        counts.check_penalty(self.alpha_W, self.l1_ratio)
        return counts

    def _error(self, rows: ArrayLike, W: ArrayLike, counts: RowCounts | None) -> float:
        """`reconstruction_err_`, of what is observed of the rows as they count."""
        weights = None if counts is None else counts.weights(rows.shape[1])
        there = observed_rows(rows, self.missing, weights)
        return reconstruction_error(there, W if counts is None else counts.of_rows(W), self.components_, self._beta)

    def _fit_stored(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> ArrayLike:
        m, n = open_matrix(X).grid.shape
        first: str | Factors
        if self.init == "custom":
            H = given_factor(H, (self._rank(n), n), "NMF (input H)")
            W = given_factor(W, (m, len(H)), "NMF (input W)") if W is None else W
            k, first = len(H), (W, H)
        else:
            warn_if_ignored(W, H)
            k, first = self._rank_of_stored(), self.init or "sample"
        self._check_width(n, reset=True)
        result = self._factorized(X, k, first, keep_W=self.out is not None)
        self.reconstruction_err_ = math.sqrt(max(result.loss, 0.0))
        # Without a run the engine may keep W nevertheless, but not for every X.
        if self.out is None:
            return self._solved(X)
        return result.W.rechunk({0: X.array.chunks[0]}) if X.lazy else result.W

    def _first(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> tuple[int, str | Factors]:
        """The number of components, and first factors for X in memory."""
        k, n = self._rank(X.shape[1]), X.shape[1]
        if self.init == "custom":
            first = custom_factors(W, H, X.shape, k, float_of(X))
            return len(first[1]), first
        warn_if_ignored(W, H)
        k = k or n
        if self.init is None or self.missing is not None:
            return k, self.init or "sample"
        exponent = exponent_of(X, self._beta)
        W, H = first_factors(times_power(as_floats(X), exponent), k, self.init, self.random_state)
        return k, (times_power(W, -exponent), H)

    def _solve(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> ArrayLike:
        """W for an H that stays as it is."""
        self._check_solver()
        if W is not None:
            warnings.warn("When update_H=False, the provided initial W is not used.", RuntimeWarning, stacklevel=3)
        stored = is_stored(X)
        n = open_matrix(X).grid.shape[1] if stored else X.shape[1]
        self.components_ = given_factor(H, (self._rank(n), n), "NMF (input H)")
        if not stored:
            if self.components_.dtype != float_of(X):
                raise TypeError(f"H should have the same dtype as X. Got H.dtype = {self.components_.dtype}.")
            check_non_negative(X, "NMF (input X)")
            refuse_zeros(X, self._beta)
        return self._solved(X)

    @property
    def _one_iteration(self) -> bool:
        """Whether one iteration from the caller's factors is asked for: he may be making one at a time."""
        return self.init == "custom" and self.inner_iter is None and self.max_iter == 1

    def _check_solver(self) -> None:
        """What a solver cannot do, and what it does badly."""
        if self.solver == "cd" and self._beta != 2:
            raise ValueError(
                f"Invalid beta_loss parameter: solver {self.solver!r} does not handle beta_loss = {self.beta_loss!r}"
            )
        if self.solver == "mu" and self.init == "nndsvd":
            warnings.warn(
                "The multiplicative update ('mu') solver cannot update zeros present in the initialization, and so "
                "leads to poorer results when used jointly with init='nndsvd'. You may try init='nndsvda' or "
                "init='nndsvdar' instead.",
                UserWarning,
                stacklevel=4,
            )

    def _factorized(
        self, X: ArrayLike, k: int, first: str | Factors, *, keep_W: bool, counts: RowCounts | None = None
    ) -> Factorization:
        """Run the engine, and keep what it found."""
        # With factors given nothing is random: a RandomState is then left as scikit-learn leaves it.
        seed = seed_of(self.random_state) if isinstance(first, str) or self.shuffle else 0
        shared = NMF().get_params().keys() & DECLARED.keys()
        asked = {name: _as_number(getattr(self, name), DECLARED[name].check) for name in shared}
        asked |= {"beta_loss": self._beta, "init": first, "tol": self._tol}
        if counts is not None:
            alpha = self.alpha_W if self.alpha_H == "same" else self.alpha_H
            asked |= {"alpha_H": float(alpha) * counts.growth, "weights": counts.weights(X.shape[1])}
        listeners = [progress_lines()] if self.verbose else ()
        with own_run(self.out) as overwrite:
            asked |= {"out": self.out, "overwrite": overwrite}
            result = factorize(computed(X), k, seed=seed, keep_W=keep_W, listeners=listeners, **asked)
        self.components_ = result.V
        self.n_components_ = len(result.V)
        # The iterates of scikit-learn take one more pass, which moves nothing.
        self.n_iter_ = min(len(result.history["loss"]), int(self.max_iter))
        if self.n_iter_ == self.max_iter and self.tol > 0 and result.history["gain"][-1] >= self.tol:
            warn_of_max_iter(self.max_iter)
        return result


def _as_number(value: Any, check: Range | Names) -> Any:
    """A value as the engine takes it: scikit-learn takes True for 1, and numbers of NumPy's."""
    return check.of(value) if isinstance(check, Range) and value not in (None, "same") else value


def progress_lines() -> Listener:
    """A listener that writes a line per pass to the standard output."""
    began = time.perf_counter()

    def write(event: Event) -> None:
        if isinstance(event, PassDone):
            seconds, error = time.perf_counter() - began, math.sqrt(max(event.loss, 0.0))
            say(f"Epoch {event.iteration:02d} reached after {seconds:.3f} seconds, error: {error:f}")
        elif isinstance(event, Stopped):
            say(f"Stopped: {event.reason}.")

    return write


def non_negative_factorization(
    X: ArrayLike,
    W: ArrayLike = None,
    H: ArrayLike = None,
    n_components: int | str | None = "auto",
    *,
    init: str | None = None,
    update_H: bool = True,
    solver: str = "cd",
    beta_loss: str | float = "frobenius",
    tol: float = 1e-4,
    max_iter: int = 200,
    alpha_W: float = 0.0,
    alpha_H: str | float = "same",
    l1_ratio: float = 0.0,
    random_state: Seed = None,
    verbose: int = 0,
    shuffle: bool = False,
    inner_iter: int | None = None,
    out: str | Path | None = None,
    memory_limit: int | None = None,
    missing: str | None = None,
) -> tuple[ArrayLike, ArrayLike, int]:
    """Factorize X ≈ W H, or, with update_H=False, solve for W with H as it is given.

    Parameters are those of `NMF`, with W and H as first factors for init="custom".

    Returns
    -------
    W (m, k), H (k, n), and the number of passes over X: 1 where only W is solved for.

    Examples
    --------
    >>> X = np.array([[1, 1], [2, 1], [3, 1.2], [4, 1], [5, 0.8], [6, 1]])
    >>> W, H, n_iter = non_negative_factorization(X, n_components=2, random_state=0)
    >>> W.shape, H.shape
    ((6, 2), (2, 2))
    """
    given = locals()
    model = NMF(**{name: given[name] for name in NMF().get_params()})
    model._check_parameters()
    X = unwrapped(X, missing)
    if not is_stored(X):
        finite = "allow-nan" if missing == "nan" else True
        dtype = None if is_small(X) else IN_MEMORY["dtype"]
        X = check_array(X, **{**IN_MEMORY, "dtype": dtype}, ensure_all_finite=finite)
    with np.errstate(all="ignore"):
        if update_H:
            W = model._fit(X, W, H)
            return W, model.components_, model.n_iter_
        return model._solve(X, W, H), model.components_, 1
