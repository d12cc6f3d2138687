"""`factorize`: X, a cluster and an output are opened, checked and handed to the loop."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dnmf.arrays.rows import is_sparse
from dnmf.events import Listener
from dnmf.factorization.known import checked_components, known_components
from dnmf.factorization.ranks import pick_rank
from dnmf.factorization.sampling import EarlierSample, along, earlier_sample
from dnmf.factorization.session import (
    Session,
    check_held,
    check_output,
    drive,
    job_for,
    open_session,
)
from dnmf.factorization.starts import first_factors
from dnmf.matrix.foreign import factor_of
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.opening import check_complete, tell_missing
from dnmf.parameters import SAMPLED, Factors, Parameters
from dnmf.plan.choose import plan
from dnmf.plan.strips import Plan
from dnmf.rank_selection.asked import USUAL, ranks_of
from dnmf.run.labels import write_labels
from dnmf.run.opening import create_run
from dnmf.run.result import Factorization, open_run


def factorize(
    X: object,
    rank: Any,
    *,
    out: str | Path | None = None,
    solver: str = "cd",
    beta_loss: float | str = 2.0,
    init: str | Factors = "sample",
    max_iter: int = 200,
    tol: float = 3e-4,
    seed: int = 0,
    inner_iter: int | None = None,
    alpha_W: float = 0.0,
    alpha_H: float | str = "same",
    l1_ratio: float = 0.0,
    shuffle: bool = False,
    snapshot_every: int | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
    sample: str | Path | None = None,
    layer: str | None = None,
    keep_W: bool = True,
    strict: bool = False,
    checkpoint_every: int | None = None,
    missing: str | None = None,
    weights: object = None,
    alpha_scale: str = "all",
    fixed: Any = None,
    negative: str = "refuse",
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Factorization:
    """Factorize a non-negative matrix, X ≈ W V, in few reads of X.

    Computes on the current `dask.distributed.Client`, if there is one, otherwise on Dask's threads in this process.
    An X that is a NumPy array is in this process already and is always computed with here. Where chunks of a stored X
    are missing, a warning says how many.

    Parameters
    ----------
    X : (m, n), entries finite and not negative: the path of a Zarr array, or of a sparse matrix as AnnData writes it;
        a `zarr.Array` or `zarr.Group`, a Dask array of dense or scipy.sparse blocks, an AnnData object, a scipy.sparse
        matrix, a NumPy array, an xarray DataArray, a DataFrame, an h5py dataset: see `dnmf.matrix.opening`.
    rank : number of components k. "auto" for the one of 2 to 30 that X speaks for, which is chosen on the sample, so
        that X is not read for it; or a range or text such as "5:40" for one of these: see `ranks`, whose result the run
        holds: `open_ranks`.
    out : path of the run to write, which every worker must reach. None keeps the run in this process's memory.
    solver : "cd" (coordinate descent, also called HALS) or "mu" (Lee and Seung's multiplicative updates).
    beta_loss : β of the β-divergence that is minimized, or "frobenius" (2), "kullback-leibler" (1), "itakura-saito"
        (0, for X without zeros). All but 2 need solver "mu".
    init : first factors. "sample": X is read once for a sample of its rows, which is factorized in memory, see
        `dnmf.factorization.starts`. "nndsvd", "nndsvda", "nndsvdar": singular vectors of that sample, their zeros kept
        (unless by solver "mu", which could not leave them), or replaced by the mean of X, or by random numbers below a
        hundredth of it. "random": uniform numbers, without that read. Or your own (W, V), of shapes (m, k) and (k, n).
    max_iter : passes over X at most, that of the sample aside.
    tol : stop when one more pass would decrease the loss by less than this share of itself; 0 never stops early.
    seed : of everything random. The result depends on it, X and the parameters, not on the cluster.
    inner_iter : updates of a factor per pass; more cost no further read. 1 is the published rule; None makes as many as
        pay on the sample, 10 where there is none. With 1 and an init of your own the iterates are scikit-learn's: W,
        then V, `max_iter` times; so is the one that `max_iter=1` asks for.
    alpha_W, alpha_H, l1_ratio : penalties, as scikit-learn defines and scales them: to half of the loss are added
        n · alpha_W · (l1_ratio ΣW + (1 − l1_ratio)/2 ΣW²) and the same for V with m · alpha_H.
    shuffle : set components in another order in every pass, with solver "cd".
    snapshot_every : keep the short factor (V, or W where strips are whole columns) every so many passes.
    cache : keep X in memory after the first pass where it fits in half of it.
    memory_limit : bytes that a worker (or this process) may use; its own limit if that is lower or this is None.
    sample : path of an earlier run on the same X, or of a comparison of ranks, whose sample is taken: X need not be
        read for one. Where a comparison has verified this rank, the first pass begins with its V.
    layer : of an AnnData X: which of its layers is meant, None for its X.
    keep_W : False writes no W where it is the long factor: then a cluster needs no `out`, and the result's W is None.
    strict : refuse an X that lacks chunks, which by Zarr's rules hold its fill value.
    checkpoint_every : passes from one generation to the next: what another process goes on from when this one dies, see
        `resume`. None: after a pass, as soon as fifty times what one costs has passed since the last (after every one,
        where passes are long), on a cluster after 10 at most. What ends a run early keeps its last finished pass, too.
    missing : entries that are not there: "nan", those that are NaN (or masked); "zeros", those that a sparse X does not
        store, while zeros that it stores are values. None: all are there.
    weights : (m, n), anything that X may be, finite and not negative: the loss is Σ ω_ij d(x_ij, (W V)_ij). An entry is
        observed where its weight is above 0 and, with `missing`, X has it; what X is elsewhere does not matter. Read
        with the same cut as X, once per pass.
    alpha_scale : "all": penalties grow with n and m. "observed": in their place, with how many entries of the row (of
        the column, for V) are observed, as in ALS-WR.
    fixed : components that are known, (k₀, n): an array, the path of a .npy file or of a Zarr array, or a run, whose V
        is taken. They are the first rows of V and stay to the last bit, in the dtype in which X is computed with; rank
        counts them. Where there are no others, one pass finds W. X is then cut along its rows. First factors of your
        own are taken but for these rows.
    negative : "allow" takes entries of X below zero for data, such as noise about nothing, in place of refusing them,
        with solver "cd" and least squares. W and V stay non-negative.
    overwrite : replace a run at `out`.
    listeners : called with every event of `dnmf.events`.

    Returns
    -------
    Factorization
        W and V belong together: their loss is the one reported, to six digits, and W was solved against V.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, FileExistsError
        If X, a parameter or the output is not as required; if an entry of X is negative, infinite, or NaN without
        `missing`; if a weight is negative, NaN or infinite, or weights have another shape than X.
    MemoryError
        If no strip of X fits in a worker.
    RuntimeError
        If the cluster has no workers, or a worker does not reach X or the run; if another process is at work on the run
        that is to be replaced.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((60, 2)) @ rng.random((2, 40))
    >>> result = factorize(X, rank=2, tol=0)
    >>> bool(result.relative_error < 1e-3), result.W.shape, result.V.shape
    (True, (60, 2), (2, 40))
    """
    # All that is asked for, by name: Parameters takes what it declares.
    asked = {**locals(), "fixed": known_components(fixed)}
    choices = _ranks(rank, init if isinstance(init, str) else "given", known=asked["fixed"] is not None)
    parameters = Parameters.of({**asked, "rank": max(choices, default=rank)})
    rank, first = parameters.rank, parameters.init
    # In memory any sparse X can be read by rows: of every layout one answer comes out.
    X, weights = _by_rows(X), _by_rows(weights)
    how: Any = {"missing": missing, "weights": weights, "signed": parameters.signed}
    with open_session(X, out=out, layer=layer, memory_limit=memory_limit, **how) as session:
        matrix = session.matrix
        _check_chunks(matrix, strict=strict)
        factors = None if isinstance(init, str) else _given_factors(init, matrix, rank)
        known = checked_components(asked["fixed"], matrix)
        check_output(session, out, factors, overwrite=overwrite, keep_W=keep_W)
        earlier = None if sample is None else _earlier(sample, matrix, first)
        cut = _cut(session, parameters, out, earlier)
        session.check_workers(out)
        group = create_run(out, overwrite=overwrite)
        kept = None if earlier is None else earlier.cut_as(cut)
        if choices:
            rank, kept = pick_rank(
                session, group, cut, parameters, choices, kept=kept, lasting=out is not None, listeners=listeners
            )
            parameters = replace(parameters, rank=rank)
        job = job_for(
            session, parameters, cut, group, listeners, on_disk=bool(out), given=factors, kept=kept,
            exponent=kept.exponent if kept else 0, begun=earlier.verified(rank) if earlier else None, known=known,
        )  # fmt: skip
        write_labels(group, matrix.labels)
        job.keeper.begin(kept, known)
        drive(job, first_factors)
    return open_run(group)


def _by_rows(X: Any) -> object:
    """Any X but a sparse one as it is."""
    return X.tocsr() if is_sparse(X) else X


def _check_chunks(matrix: Matrix, *, strict: bool) -> None:
    """Warn of X that lacks chunks; where that is asked for, refuse it."""
    if strict:
        check_complete(matrix)
    tell_missing(matrix)


def _cut(session: Session, parameters: Parameters, out: str | Path | None, earlier: EarlierSample | None) -> Plan:
    """How X is cut: along the axis of an earlier sample, if there is one, and with as many rows of one."""
    matrix = session.matrix
    cut = plan(
        matrix.grid,
        rank=parameters.rank,
        workers=session.workers,
        cache=parameters.cache and not matrix.in_memory,
        sampled=parameters.init in SAMPLED,
        axes=_axes(parameters, earlier),
    )
    check_held(session, cut, out)
    return cut if earlier is None else earlier.plan(cut)


def _axes(parameters: Parameters, earlier: EarlierSample | None) -> tuple[int, ...]:
    """The axes along which X may be cut: that of a sample that is given, and its rows where some of V is known."""
    axes = along(earlier)
    if parameters.fixed is None or 0 in axes:
        return axes if parameters.fixed is None else (0,)
    raise ValueError(
        "the sample is one of columns of X, and known components need X to be cut along its rows: give no sample"
    )


def _earlier(path: str | Path, matrix: Matrix, init: str) -> EarlierSample:
    """The sample of an earlier run or comparison of ranks, if it was drawn from this X and is of use."""
    if init not in SAMPLED:
        raise ValueError(f"a sample is given and init is {init!r}: one of {', '.join(SAMPLED)} is required with it")
    return earlier_sample(path, matrix)


def _ranks(rank: object, init: str, *, known: bool) -> tuple[int, ...]:
    """The ranks to choose from; none where one is given."""
    if not isinstance(rank, str | Sequence):
        return ()
    if known:
        raise ValueError(
            f"rank is {rank!r} and some components are known, of which the comparison of ranks knows nothing: give a "
            f"number as rank"
        )
    if init not in SAMPLED:
        raise ValueError(
            f"rank is {rank!r} and init is {init!r}: the rank is chosen on the sample of X, so one of "
            f"{', '.join(SAMPLED)} is required with it"
        )
    return ranks_of(f"2:{USUAL}" if rank == "auto" else rank)


def _given_factors(init: Factors, matrix: Matrix, rank: int) -> Factors:
    """The caller's first factors, checked."""
    if not isinstance(init, list | tuple) or len(init) != 2:
        held = f"{len(init)} of them" if isinstance(init, list | tuple) else type(init).__name__
        raise TypeError(f"init is {held}: a name, or two arrays (W, V), are required; of a run, (run.W, run.V)")
    W, V = (factor_of(f"the first {name}", factor) for name, factor in zip("WV", init, strict=True))
    m, n = matrix.grid.shape
    for name, factor, shape in (("W", W, (m, rank)), ("V", V, (rank, n))):
        if tuple(factor.shape) != shape:
            raise ValueError(
                f"the first {name} has shape {tuple(factor.shape)}: {shape} is required for this X and rank"
            )
        if not bool(np.asarray(factor.min() >= 0) & np.asarray(factor.max() < np.inf)):
            raise ValueError(f"the first {name} has a negative, NaN or infinite entry: finite entries ≥ 0 are required")
    return W, V
