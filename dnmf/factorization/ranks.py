"""`ranks`: which number of components X speaks for, from one read of X, or none where a sample is there.

Every rank is tried on halves of the sample, see `dnmf.rank_selection`: all trials are tasks of their own. Some ranks
may be verified on all of X, all of them in one more read.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from math import ceil
from pathlib import Path
from typing import Any, Literal

import zarr

from dnmf.events import Listener
from dnmf.factorization.rank_search import Search, search_inside, search_ranks
from dnmf.factorization.sampling import EarlierSample, along, earlier_sample
from dnmf.factorization.session import Session, open_session
from dnmf.losses import beta_of
from dnmf.matrix.opening import tell_missing
from dnmf.parameters import COUNT, SEED, Parameters, is_signed, plain
from dnmf.plan.choose import plan
from dnmf.plan.strips import Plan
from dnmf.rank_selection.asked import USUAL, possible, ranks_of
from dnmf.rank_selection.halves import FOLDS
from dnmf.run.kept_sample import StoredSample
from dnmf.run.lease import Lease
from dnmf.run.ranking import Ranking, open_ranks
from dnmf.run.ranking_store import Asked, check_ranking_out, create_ranking

# Starts of each factorization, where nothing else is asked for.
STARTS = 3


def ranks(
    X: object,
    ranks: object = None,
    *,
    out: str | Path | None = None,
    beta_loss: float | str = 2.0,
    starts: int = STARTS,
    verify: object = (),
    seed: int = 0,
    sample: str | Path | None = None,
    layer: str | None = None,
    missing: str | None = None,
    weights: object = None,
    negative: str = "refuse",
    memory_limit: int | None = None,
    overwrite: bool = False,
    listeners: Sequence[Listener] = (),
) -> Ranking:
    """Compare numbers of components by how well they predict what was held out of a sample of X.

    X is read once for the sample, whatever the number of ranks; not at all where an earlier run or comparison has one.
    Rows of the sample are cut into two halves. Each half is factorized with every rank; then columns of each row of the
    other half are predicted from its other columns. The smallest rank whose error is within one standard error of the
    least, over pairs of the same rows, is the pick. See `dnmf.rank_selection` for how, and the documentation for when
    it cannot be trusted. Computes where `factorize` does.

    Parameters
    ----------
    X, layer, missing, weights, negative, memory_limit, listeners : as `factorize` takes them.
    ranks : a range, a list, or a text such as 2:30, both ends included. None for 2 to 30, or as many as are possible.
    out : path of a Zarr group to write to, which every worker must reach. One there that was not finished goes on. None
        keeps it in this process's memory.
    beta_loss : β of the loss, or its name, see `factorize`: 1 for counts.
    starts : of each factorization of a half, the best of which is followed to its end.
    verify : of these ranks the exact loss on all of X is found and one exact step made, in one more read of X for all
        of them together. `factorize(X, rank, sample=out)` then begins there.
    seed : of the sample, its halves, and the starts.
    sample : path of an earlier run, or comparison of ranks, on the same X, whose sample is taken.
    overwrite : replace a comparison of ranks at `out`.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, FileExistsError, MemoryError, RuntimeError
        As `factorize` does; if a rank is larger than the sample allows.

    References
    ----------
    R. Bro et al., Analytical and Bioanalytical Chemistry 390, 2008, doi:10.1007/s00216-007-1790-1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.gamma(0.5, size=(300, 3)) @ rng.gamma(0.5, size=(3, 40)) * rng.uniform(0.8, 1.2, (300, 40))
    >>> ranks(X, "1:6").best
    3
    """
    wanted = None if ranks is None else ranks_of(ranks)
    checked = () if verify == () else ranks_of(verify)
    beta = _checked(beta_loss, starts, seed)
    signed = is_signed(negative, beta)
    how: Any = {"missing": missing, "weights": weights, "signed": signed}
    with open_session(X, out=out, layer=layer, memory_limit=memory_limit, **how) as session:
        tell_missing(session.matrix)
        earlier = None if sample is None else earlier_sample(sample, session.matrix)
        cut = _plan(session, max(sum(checked), *(wanted or (USUAL,))), earlier)
        session.check_workers(out)
        asked = Asked(
            ranks=_possible(wanted, cut), verify=checked, beta_loss=beta, starts=starts, seed=seed,
            negative="allow" if signed else "refuse", missing=session.matrix.missing,
        )  # fmt: skip
        _check_verified(asked)
        if out is not None:
            session.check_apart(out, exists=check_ranking_out(out, overwrite=overwrite))
        search = Search.of(session, cut, asked, listeners)
        group = create_ranking(out, search.record, overwrite=overwrite)
        with nullcontext() if out is None else Lease(group):
            search_ranks(search, group, earlier)
    return open_ranks(group)


def _checked(beta_loss: float | str, starts: object, seed: object) -> float:
    """β, where all three make sense."""
    for name, value, required in (("starts", starts, COUNT), ("seed", seed, SEED)):
        if not required.holds(plain(value)):
            raise ValueError(f"{name} is {value!r}: {required.words} is required")
    return beta_of(beta_loss)


def _plan(session: Session, rank: int, earlier: EarlierSample | None) -> Plan:
    grid, axes = session.matrix.grid, along(earlier)
    cut = plan(grid, rank=rank, workers=session.workers, cache=False, sampled=True, axes=axes)
    return cut if earlier is None else earlier.plan(cut)


def _possible(wanted: tuple[int, ...] | None, cut: Plan) -> tuple[int, ...]:
    """The ranks that are compared: those that are asked for, or all that the sample allows."""
    return possible(wanted, _most(cut))


def _most(cut: Plan) -> int:
    """The largest rank: not more than there are rows in half of the sample, and columns that are not held out."""
    return min(min(cut.sample, cut.length) // 2, cut.width - ceil(cut.width / FOLDS))


def _allowed(choices: tuple[int, ...], cut: Plan) -> tuple[int, ...]:
    """Those of some ranks that the sample allows: who leaves the choice to it leaves that, too."""
    most = _most(cut)
    return tuple(rank for rank in choices if rank <= most) or _possible(choices, cut)


def _check_verified(asked: Asked) -> None:
    if others := sorted(set(asked.verify) - set(asked.ranks)):
        raise ValueError(
            f"{', '.join(map(str, others))} is to be verified and is none of the ranks that are compared, "
            f"{asked.ranks[0]} to {asked.ranks[-1]}: verify some of these"
        )


def pick_rank(
    session: Session,
    run: zarr.Group,
    cut: Plan,
    parameters: Parameters,
    choices: tuple[int, ...],
    *,
    kept: StoredSample | None,
    lasting: bool,
    listeners: Sequence[Listener],
) -> tuple[int, StoredSample]:
    """The rank that X speaks for, for a run that holds the comparison, and the sample that it goes on from.

    `lasting` says whether the run outlives this process.
    """
    ranks, seed = _allowed(choices, cut), parameters.seed
    negative: Literal["refuse", "allow"] = "allow" if parameters.signed else "refuse"
    asked = Asked(
        ranks=ranks, verify=(), beta_loss=parameters.beta_loss, starts=STARTS, seed=seed, negative=negative,
        missing=session.matrix.missing,
    )  # fmt: skip
    search = Search.of(session, cut, asked, listeners)
    with Lease(run) if lasting else nullcontext():
        return search_inside(search, run, kept)
