"""What the components of a run are, in numbers and in words: from what the run holds, without a read of X.

Runs of older versions, and those that were killed, lack the sums of their last pass. Of these only what follows from W
and V is known: W is gone through strip by strip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnmf.arrays.rows import Array
from dnmf.components.features import RANKINGS, By, deviations, leading, markers, most_specific, specificity, weights
from dnmf.components.shares import explained_alone, in_order, lost_without, share_of_mass, sparseness
from dnmf.components.sums import F8, ComponentSums
from dnmf.components.table import Table
from dnmf.components.words import Components
from dnmf.run.compare import compare
from dnmf.run.kept_sums import Kept

if TYPE_CHECKING:
    from dnmf.run.ranking import Ranking
    from dnmf.run.result import Factorization

# Components that agree to this cosine are called the same.
CLOSE = 0.9


def describe(
    result: "Factorization",
    *,
    top: int = 10,
    by: By = "specificity",
    agreement: "Ranking | Factorization | Sequence[float] | None" = None,
) -> Components:
    """Say what the components of a factorization are, in the order of their shares. X is not read.

    Parameters
    ----------
    result : X ≈ W V, W (m, k), V (k, n).
    top : features for each.
    by : what features are ranked by: "specificity", "weight" or "marker".
    agreement : a comparison of ranks, whose halves of the sample found each component or not; another factorization,
        whose components are matched one to one; or (k,) numbers, in the run's order.

    Raises
    ------
    ValueError
        If `by` is none of these; if there are no marker scores, with what to do; if the other factorization is not one
        of the same columns.
    """
    if by not in RANKINGS:
        raise ValueError(f"by is {by!r}: one of {', '.join(map(repr, RANKINGS))} is required")
    found = _Found.of(result)
    alike = weights(result.V)
    features, scores = _features(found, result, alike, top, by)
    shares = found.shares(result)
    order = in_order(shares["share"] if found.sums.residual is not None else shares["mass"])
    given = _agreement(result, agreement)
    return Components(
        number=order + 1,
        **{name: values[order] for name, values in shares.items()},
        agreement=given[order],
        by=by,
        features=tuple(features[a] for a in order),
        scores=tuple(scores[a, features[a]] for a in order),
        weights=tuple(alike[a, features[a]] for a in order),
        names=result.labels.columns,
        notes=found.notes(result),
        mass_of="W V" if found.total(result) is None else "X",
    )


def pairs(first: "Factorization", second: "Factorization", *, top: int = 5) -> Table:
    """The components of two factorizations that go together, in the order of the first one's shares.

    Columns are `first` and `second` (numbers of the components), `cosine`, and `features` (those of the first). Raises
    as `compare`.
    """
    found = compare(first, second)
    partner = dict(zip(found.first.tolist(), found.second.tolist(), strict=True))
    told = describe(first, top=top)
    rows = [
        (a + 1, partner[a] + 1, float(found.cosines[a, partner[a]]), names)
        for a, names in zip((told.number - 1).tolist(), told.named_features, strict=True)
        if a in partner
    ]
    return Table(dict(zip(("first", "second", "cosine", "features"), map(list, zip(*rows, strict=True)), strict=True)))


def pairs_in_words(first: "Factorization", second: "Factorization") -> str:
    """How alike the components of two factorizations are, as a sentence. Raises as `compare`."""
    found = compare(first, second)
    alike = found.of_pairs
    least, close = int(alike.argmin()), int((alike >= CLOSE).sum())
    said = (
        f"{close} of {len(alike)} pairs agree to a cosine of {CLOSE:g} or more; the median is {np.median(alike):.3f}, "
        f"the least {alike[least]:.3f} ({found.first[least] + 1} and {found.second[least] + 1})"
    )
    for name, alone in zip(("first", "second"), found.unmatched, strict=True):
        if len(alone):
            said += f"; without a partner in the {name}: {', '.join(str(a + 1) for a in alone.tolist())}"
    return said


def as_frame(table: Table) -> Any:
    """A table as a DataFrame where pandas is installed, else as it is."""
    try:
        from pandas import DataFrame  # noqa: PLC0415, it is not required, and takes long to load
    except ImportError:
        return table
    return DataFrame(dict(table.columns))


def _agreement(result: "Factorization", given: Any) -> F8:
    """(k,) how sure each component is, in the order of the run; NaN where nobody says."""
    rank = len(result.V)
    if given is None:
        return np.full(rank, np.nan)
    if hasattr(given, "agreement_with"):
        given = given.agreement_with(result)
        return np.full(rank, np.nan) if given is None else np.asarray(given, "f8")
    if hasattr(given, "V"):
        return compare(result, given).agreement
    found = np.asarray(given, "f8")
    if found.shape != (rank,):
        raise ValueError(f"agreement has shape {found.shape}: one number for each of {rank} components is required")
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of a run: its sums, or what factors alone say; S (k, N) is its short factor."""

    sums: ComponentSums
    S: Array
    kept: Kept
    axis: int

    @classmethod
    def of(cls, result: "Factorization") -> "_Found":
        axis, kept = result.about.state.axis, result.kept()
        # Strips of columns of X make V the long factor, and W the short one, which is in one chunk.
        S = result.V if axis == 0 else np.asarray(result.W).T
        if kept.sums is not None:
            return cls(kept.sums, S, kept, axis)
        mass, squares = _added_up(result) if axis == 0 else _of_rows(result.V)
        norm = result.about.x.norm
        return cls(ComponentSums(mass, squares, np.nan if norm is None else norm), S, kept, axis)

    @property
    def mass(self) -> F8:
        """(k,) the sum of each component's matrix."""
        return self.sums.mass * self.S.sum(axis=1, dtype="f8")

    def shares(self, result: "Factorization") -> dict[str, F8]:
        """All that is one number for a component, by name, in the order of the run."""
        short = _of_rows(self.S)
        long = self.sums.mass, self.sums.squares
        of_W, of_V = (long, short) if self.axis == 0 else (short, long)
        m, n = result.about.x.shape
        return {
            "share": lost_without(self.sums, self.S),
            "mass": share_of_mass(self.sums.mass, short[0], self.total(result)),
            "alone": explained_alone(self.sums, self.S),
            "sparseness_V": sparseness(*of_V, n),
            "sparseness_W": sparseness(*of_W, m),
        }

    def total(self, result: "Factorization") -> float | None:
        """ΣX, of what the sums are of, where it is known and tells of size: not with entries below zero or missing."""
        if result.about.parameters.signed or result.about.weighted:
            return None
        # For Kullback–Leibler it is what a pass adds up as the size of X.
        return self.sums.norm if result.about.parameters.beta_loss == 1 else self.kept.total

    def notes(self, result: "Factorization") -> tuple[str, ...]:
        """What is not known, as sentences."""
        notes = []
        about = result.about
        if about.parameters.beta_loss != 2:
            notes.append("share and alone are those of least squares; components are in the order of their mass")
        elif self.sums.residual is None:
            notes.append(
                f"the run keeps no sums of its last pass (an older dnmf made it, or it did not end by itself), so "
                f"share and alone are not known: {_one_more_pass(result)} gives them; components are in the order of "
                f"their mass"
            )
        elif about.weighted:
            notes.append("share is of what is there, by its weight; alone is not known where entries are missing")
        if np.isnan(self.sums.mass).any():
            notes.append("the run keeps no W either, so mass and specificity are not known: rank features by weight")
        elif about.parameters.signed or about.weighted:
            why = "may have entries below zero" if about.parameters.signed else "is not all there, or counts unevenly"
            notes.append(f"X {why}, and its sum is no measure of it: mass is the share of that of W V")
        elif self.total(result) is None:
            notes.append("the sum of X is not known, as no sample of it was drawn: mass is the share of the sum of W V")
        return tuple(notes)


def _features(
    found: _Found, result: "Factorization", alike: F8, count: int, by: By
) -> tuple[list[NDArray[np.intp]], F8]:
    """The columns of X that lead each component, and the scores of all columns (k, n)."""
    if by == "weight":
        return leading(alike, count), alike
    if by == "marker":
        scores = _markers(found, result)
        return leading(scores, count), scores
    scores = specificity(result.V, found.mass)
    return most_specific(scores, alike, count), scores


def _markers(found: _Found, result: "Factorization") -> F8:
    """Marker scores (k, n), of W as it is where rows of V sum to 1."""
    if (why := _no_markers(found, result)) is not None:
        raise ValueError(f"there are no marker scores: {why}; rank features by specificity or by weight")
    sums, cross, columns = found.sums, found.sums.cross(found.S), found.kept.columns
    assert cross is not None
    assert sums.gram is not None
    assert columns is not None
    rows = result.about.x.shape[0] if columns.weights is None else columns.weights
    scores = markers(cross, sums.gram, sums.mass, *deviations(columns.sums, columns.squares, rows))
    sizes = found.S.sum(axis=1, dtype="f8")[:, None]
    # The sums are those of 2ᵉ X, and so of 2ᵉ W.
    return np.ldexp(np.divide(scores, sizes, out=scores, where=sizes > 0), result.about.state.exponent)


def _no_markers(found: _Found, result: "Factorization") -> str | None:
    """Why there are no marker scores, and what would give some; None where there are."""
    if (beta := result.about.parameters.beta_loss) != 2:
        return f"they are those of least squares, and beta_loss was {beta:g}"
    if found.axis == 1:
        return "strips of this run are columns of X, and what is added up over strips is by row of X"
    if found.sums.residual is None:
        return f"the run keeps no sums of its last pass, and {_one_more_pass(result)} gives them"
    if result.about.before:
        return "the run is of rows that were added to others, and means and deviations of columns are those of all rows"
    if found.kept.columns is None:
        return (
            "means and deviations of columns come from the read that draws a sample, and this run has none, or one of "
            "an older dnmf; factorize X again with init='sample'"
        )
    return None


def _one_more_pass(result: "Factorization") -> str:
    """The command that goes on with a run."""
    asked = result.about.parameters
    more = f" --max-iter {asked.max_iter + 1}" if result.about.status == "finished" else ""
    return f"`dnmf resume RUN{more}`"


def _added_up(result: "Factorization") -> tuple[F8, F8]:
    """(k,) sums of W's columns and of their squares, strip by strip; NaN where the run keeps no W."""
    rank, W = len(result.V), result.W
    if W is None:
        return np.full(rank, np.nan), np.full(rank, np.nan)
    mass, squares = np.zeros(rank), np.zeros(rank)
    for i in range(W.numblocks[0]):
        block = np.asarray(W.blocks[i]).T
        mass, squares = (total + more for total, more in zip((mass, squares), _of_rows(block), strict=True))
    return mass, squares


def _of_rows(F: Array) -> tuple[F8, F8]:
    """(k,) sums of the rows of a factor (k, r), and of their squares."""
    return np.asarray(F.sum(axis=1, dtype="f8")), np.asarray(np.einsum("ar,ar->a", F, F, dtype="f8"))
