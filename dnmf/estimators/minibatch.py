"""`MiniBatchNMF`: scikit-learn's, on X in memory, and batch by batch on X that is not."""

import math
from collections.abc import Callable
from typing import Self

import numpy as np

from dnmf.arrays.extent import times_power
from dnmf.arrays.rows import Array, Rows
from dnmf.estimators.base import (
    BaseNMF,
    as_floats,
    exponent_of,
    float_of,
    is_stored,
    reconstruction_error,
    refuse_zeros,
    rows_of,
    say,
    unwrapped,
    warn_of_max_iter,
)
from dnmf.estimators.first_factors import custom_factors, first_factors, given_factor, warn_if_ignored
from dnmf.estimators.scikit_learn import ArrayLike, Seed, check_non_negative, gen_batches
from dnmf.losses import beta_of
from dnmf.matrix.opening import open_matrix
from dnmf.streaming.steps import Components, Problem, Watch, begin, move, solve, step

# What gives some rows of X.
RowsAt = Callable[[slice], Rows]


class MiniBatchNMF(BaseNMF):
    """Non-negative matrix factorization, X ≈ W H, that updates H after every batch of rows.

    scikit-learn's `MiniBatchNMF`: the same parameters, and the same iterates. X may also be stored: then it is read
    batch by batch, again and again. `NMF` reads X about three times in all and ends nearer to the optimum; this one is
    for rows that come one batch at a time (`partial_fit`).

    Parameters
    ----------
    n_components, beta_loss, alpha_W, alpha_H, l1_ratio, random_state, verbose : as in `NMF`.
    init : as scikit-learn's: None is "nndsvda" where that is possible, else "random". For X that is not in memory it
        is made from the first batch.
    batch_size : rows of a batch. For stored X a multiple of a chunk's rows reads each chunk once per iteration.
    tol : stop where H moves by less than this share of itself in a step; 0 never stops for that.
    max_no_improvement : stop after so many steps without a less average cost; None never stops for that.
    max_iter : times that all batches are gone through, at most.
    forget_factor : what earlier batches count after one pass over X; 1 forgets nothing.
    fresh_restarts : solve W anew for every batch. Else W, (m, k), is kept in memory between two visits of a batch.
    fresh_restarts_max_iter : updates of W for a batch that is solved anew.
    transform_max_iter : updates of a row of W in `transform`; None: `max_iter`, and 200 at least.

    Attributes
    ----------
    components_ : H, NumPy array (k, n).
    n_components_ : k.
    reconstruction_err_ : √(2 D(X | W H)), of the W that `fit_transform` gives.
    n_iter_, n_steps_ : passes over X that were begun; batches.
    n_features_in_, feature_names_in_ : number of X's columns, and their names where it is a DataFrame.

    Notes
    -----
    This differs from scikit-learn in:

    1. `transform` solves every row by itself, and to its end;
    2. with `init=None`, or X that is not in memory, `fit_transform(X)` is `fit(X).transform(X)`. With an explicit
       `init` it is W as the last steps left it, which is scikit-learn's;
    3. every batch is checked for negative entries, in `partial_fit` and `transform` too.

    Examples
    --------
    >>> X = np.array([[1, 1], [2, 1], [3, 1.2], [4, 1], [5, 0.8], [6, 1]])
    >>> model = MiniBatchNMF(n_components=2, batch_size=3, max_iter=50, tol=0, random_state=0).fit(X)
    >>> model.components_.shape
    (2, 2)
    """

    def __init__(
        self,
        n_components: int | str | None = "auto",
        *,
        init: str | None = None,
        batch_size: int = 1024,
        beta_loss: str | float = "frobenius",
        tol: float = 1e-4,
        max_no_improvement: int | None = 10,
        max_iter: int = 200,
        alpha_W: float = 0.0,
        alpha_H: str | float = "same",
        l1_ratio: float = 0.0,
        forget_factor: float = 0.7,
        fresh_restarts: bool = False,
        fresh_restarts_max_iter: int = 30,
        transform_max_iter: int | None = None,
        random_state: Seed = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.batch_size = batch_size
        self.beta_loss = beta_loss
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.max_iter = max_iter
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio
        self.forget_factor = forget_factor
        self.fresh_restarts = fresh_restarts
        self.fresh_restarts_max_iter = fresh_restarts_max_iter
        self.transform_max_iter = transform_max_iter
        self.random_state = random_state
        self.verbose = verbose

    def partial_fit(self, X: ArrayLike, y: object = None, W: ArrayLike = None, H: ArrayLike = None) -> Self:
        """Update the components by one batch, in memory.

        Parameters
        ----------
        X : (h, n) rows.
        y : not used.
        W, H : first factors (h, k) and (k, n), for init="custom" and the first batch only. Not changed.
        """
        self._check_parameters()
        with np.errstate(all="ignore"):
            self._update(X, W, H)
        return self

    def _update(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> None:
        """Update the components by one batch; begin with it where there are none."""
        first = not hasattr(self, "components_")
        X = self._named(X) if first else unwrapped(X)
        if is_stored(X):
            X = X.strips(0, check=True)[:, :]
        X = self._validated(X, reset=first)
        check_non_negative(X, "NMF initialization" if first else "MiniBatchNMF (input X)")
        refuse_zeros(X, self._beta)
        if first:
            self._exponent = self._exponent_of(X)
            X = times_power(X, self._exponent)
            self._begin(self._first(X, W, H)[1], X.shape[0])
            self.n_steps_ = 0
        else:
            X = times_power(X, self._exponent)
        H, problem = self.components_, self._problem
        X = rows_of(X.astype(H.dtype, copy=False))
        L = solve(X, H, problem, self.fresh_restarts_max_iter)
        before = Components(H, self._numerator, self._denominator)
        self._keep(step(X, L, before, problem, self._kept)[1])
        self.n_steps_ += 1

    def _fit(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> ArrayLike:
        self._check_parameters()
        X = self._named(X)
        if is_stored(X):
            return self._fit_stored(X, W, H)
        X = self._validated(X, reset=True)
        check_non_negative(X, "MiniBatchNMF (input X)")
        refuse_zeros(X, self._beta)
        # W takes the power of two, H is that of X in any unit.
        exponent = self._exponent = self._exponent_of(X)
        y = times_power(rows_of(X), exponent)
        W, H = self._first(y, None if W is None else times_power(np.asarray(W), exponent), H)
        self._begin(H, y.shape[0])
        W = self._go_through(lambda rows: as_floats(y[rows]), y.shape[0], np.array(W.T, order="C"))
        if self.init is None:
            W = self._solved(X)
        elif self.fresh_restarts:
            W = solve(as_floats(y), self.components_, self._problem, self.transform_max_iter or self.max_iter).T
        else:
            W = np.ascontiguousarray(W.T)
        if self.init is not None:
            W = times_power(W, -exponent)
        self.reconstruction_err_ = reconstruction_error(X, W, self.components_, self._beta)
        return W

    def _fit_stored(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> ArrayLike:
        matrix = open_matrix(X)
        m, n = matrix.grid.shape
        first = matrix.strips(0, check=True)[: min(self.batch_size, m), :]
        exponent = self._exponent = self._exponent_of(first)
        strips = matrix.scaled(exponent).strips(0, check=True)

        def read(rows: slice) -> Rows:
            batch = strips[rows, slice(None)]
            refuse_zeros(batch, self._beta)
            return batch

        if self.init == "custom":
            H = given_factor(H, (self._rank(n), n), "NMF (input H)").astype(matrix.dtype)
            L = given_factor(W, (m, len(H)), "NMF (input W)").T.astype(matrix.dtype, order="C")
            L = times_power(L, exponent)
        else:
            warn_if_ignored(W, H)
            refuse_zeros(first, self._beta)
            first = times_power(first, exponent)
            L, (_, H) = None, first_factors(first, self._rank_of_stored(), self.init, self.random_state)
        self._check_width(n, reset=True)
        self._begin(H, m)
        self._go_through(read, m, L)
        self.reconstruction_err_ = self._error_of_stored(read, m) * float(np.exp2(-exponent * self._beta / 2))
        return self._solved(X)

    def _exponent_of(self, X: ArrayLike) -> int:
        """Of the power of two by which X is multiplied inside."""
        exponent = exponent_of(X, self._beta)
        problem = self._problem
        if exponent and any(problem.alphas):
            raise ValueError(
                f"X has entries up to {X.max():.1e}, and penalties do not change with its unit: multiply X by a "
                f"constant that brings it near 1, and choose alpha_W and alpha_H for that"
            )
        return exponent

    def _first(self, X: ArrayLike, W: ArrayLike, H: ArrayLike) -> tuple[Array, Array]:
        """First factors for X in memory."""
        k = self._rank(X.shape[1])
        if self.init == "custom":
            return custom_factors(W, H, X.shape, k, float_of(X))
        warn_if_ignored(W, H)
        return first_factors(as_floats(X), k or X.shape[1], self.init, self.random_state)

    def _begin(self, H: Array, m: int) -> None:
        """First components, and what a batch leaves of the memory of earlier ones where X has m rows."""
        self._keep(begin(H))
        self._kept = self.forget_factor ** (min(self.batch_size, m) / m)

    def _keep(self, components: Components) -> None:
        self.components_, self.n_components_ = components.H, len(components.H)
        self._numerator, self._denominator = components.numerator, components.denominator

    def _go_through(self, read: RowsAt, m: int, W: Array | None) -> Array | None:
        """Batch after batch, until it ends. W (k × m) is updated in place; None is made at the first visit of a batch.

        With fresh restarts W stays as it is, and none is held.
        """
        components, held, watch = begin(self.components_), W, Watch()
        batches = list(gen_batches(m, min(self.batch_size, m)))
        n_steps, new = self.max_iter * len(batches), len(batches) if W is None else 0
        if self.fresh_restarts:
            held = None
        elif W is None:
            held = np.empty((len(components.H), m), components.H.dtype)
        for i in range(n_steps):
            rows = batches[i % len(batches)]
            y, before = read(rows), components
            L = self._rows_of_batch(y, before.H, None if held is None or i < new else held[:, rows])
            L, components, cost = step(y, L, before, self._problem, self._kept)
            if held is not None:
                held[:, rows] = L
            if i > 0:
                watch = watch.after(cost, min(y.shape[0] / (m + 1), 1))
            self._say(f"Minibatch step {i + 1}/{n_steps}: mean batch cost: {cost}" + _average(watch))
            if reason := self._reason(watch, before.H, components.H):
                self._say(f"Converged ({reason}) at step {i + 1}/{n_steps}")
                break
        self._keep(components)
        self._count(i + 1, len(batches))
        return W if held is None else held

    def _count(self, steps: int, batches: int) -> None:
        """Keep how many batches were seen, and how often all of them; warn where that was as often as it may be."""
        self.n_steps_, self.n_iter_ = steps, math.ceil(steps / batches)
        if self.n_iter_ == self.max_iter and self.tol > 0:
            warn_of_max_iter(self.max_iter)

    def _rows_of_batch(self, y: Rows, H: Array, known: Array | None) -> Array:
        """L (k × rows) of a batch for H as it is: moved on from what is known, or solved for where nothing is."""
        if known is None:
            return solve(y, H, self._problem, self.fresh_restarts_max_iter)
        return move(y, known, H, self._problem)

    def _reason(self, watch: Watch, before: Array, after: Array) -> str | None:
        """Why to stop after a step, or None to go on; the first step is never the last one."""
        if watch.average is None:
            return None
        if self.tol > 0 and np.linalg.norm(after - before) <= self.tol * np.linalg.norm(after):
            return "small H change"
        if self.max_no_improvement is not None and watch.stale >= self.max_no_improvement:
            return "lack of improvement in objective function"
        return None

    def _say(self, line: str) -> None:
        if self.verbose:
            say(line)

    def _error_of_stored(self, read: RowsAt, m: int) -> float:
        """The error of the W that `transform` gives, in one more read of X."""
        H = self.components_
        parts = []
        for rows in gen_batches(m, min(self.batch_size, m)):
            batch = read(rows)
            parts.append(reconstruction_error(batch, self._solved(batch), H, self._beta) ** 2)
        return math.sqrt(math.fsum(parts))

    @property
    def _problem(self) -> Problem:
        alpha_H = self.alpha_W if isinstance(self.alpha_H, str) else self.alpha_H
        return Problem(
            beta_of(self._beta), (float(self.alpha_W), float(alpha_H)), float(self.l1_ratio), float(self.tol)
        )

    @property
    def _transform_iter(self) -> int:
        return int(self.transform_max_iter or super()._transform_iter)


def _average(watch: Watch) -> str:
    return "" if watch.average is None else f", ewa cost: {watch.average}"
