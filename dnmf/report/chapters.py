"""What the report of a run says, as values that a template sets in a page: facts, curves, portraits, commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from dnmf.matrix.foreign import is_given
from dnmf.report.again import Command, made_again, next_commands
from dnmf.report.charts import Chart, Curve, Scale, dots, line, scale_of, thinned
from dnmf.report.facts import facts, observed_facts, stored_facts
from dnmf.report.portraits import Portrait, portraits
from dnmf.report.rank_view import RankView, rank_view
from dnmf.report.words import components, count, loss_in_words, percent
from dnmf.run.ranking import Ranking
from dnmf.run.result import Factorization

# Facts of a run that tell how it was made, and what each of them is called in a report.
MADE = {
    "parameters": "Parameters", "strips": "Strips", "start": "Start", "passes": "Passes", "reads": "Reads",
    "seconds": "Seconds", "gradient": "Gradient at the end", "stopped": "Why it ended", "versions": "Versions",
}  # fmt: skip

# What commands call a run whose path is not known.
UNKNOWN = "run.zarr"

# Passes in the table at most; of more, some are left out.
MOST_PASSES = 60


@dataclass(frozen=True, slots=True)
class Passes:
    """What is told of passes: a chart of the error, if there are two; and a table, in which `left_out` are not."""

    chart: Chart | None
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Page:
    """The report of a run.

    Attributes
    ----------
    title, name : of the page, and of X.
    lead : the most important sentence.
    figures : the most important numbers, by name.
    matrix, made : what there is to say of X, and of how the run was made.
    again, then : how it is made again, and what may be done next.
    why : why it has so many components.
    ranks : the comparison of ranks that speaks for that, or None.
    components : portraits, the one with the largest share first.
    by_loss : whether shares are of ‖X‖², not of a sum.
    mass_of : what shares are of the sum of, where they are: X or W V.
    named : whether columns of X have names.
    notes : what is not known of components, and why.
    passes : the loss, pass by pass.
    error : what the relative error is.
    stands_for : what the path in commands is, where it is not known.
    """

    title: str
    name: str
    lead: str
    figures: Mapping[str, str]
    matrix: Mapping[str, str]
    made: Mapping[str, str]
    again: Command
    then: tuple[Command, ...]
    why: str
    ranks: RankView | None
    components: tuple[Portrait, ...]
    by_loss: bool
    mass_of: str
    named: bool
    notes: tuple[str, ...]
    passes: Passes
    error: str
    stands_for: str

    @property
    def known(self) -> frozenset[str]:
        """Names of the facts that are known of some component."""
        return frozenset(name for each in self.components for name in each.facts)


def page_of(run: Factorization, at: str | None, ranks: Ranking | None = None) -> Page:
    """The report of a run: of X no number is read, of W one chunk at a time is in memory.

    Parameters
    ----------
    run : X ≈ W V.
    at : path of the run, for commands; None where it is not known.
    ranks : a comparison of ranks of the same X.

    Raises
    ------
    ValueError
        If the comparison of ranks is one of another X.
    """
    about, told = run.about, facts(run)
    described, drawn = portraits(run, None if ranks is None else ranks.agreement_with(run))
    name = about.x.path if is_given(about.x.path) else PurePosixPath(about.x.path).name
    return Page(
        title=f"{components(about.parameters.rank)} of {name}",
        name=name,
        lead=_lead(run),
        figures=_figures(run),
        matrix=stored_facts(about.x, run.labels)
        | {name.capitalize(): told for name, told in observed_facts(run).items()},
        made={"Status": told["status"]} | {shown: told[name] for name, shown in MADE.items()},
        again=made_again(about, at or UNKNOWN),
        then=next_commands(about, at or UNKNOWN),
        why=_why(run, ranks),
        ranks=rank_view(ranks) if ranks else None,
        components=drawn,
        by_loss=not bool(np.isnan(described.share).all()),
        mass_of=described.mass_of,
        named=described.names is not None,
        # The first note on other losses than least squares is that shares are of the sum of X, which the page says.
        notes=described.notes if about.parameters.beta_loss == 2 else described.notes[1:],
        passes=_passes(run),
        error=_error(about.parameters.beta_loss),
        stands_for="" if at else f"{UNKNOWN} stands for the path of this run.",
    )


def _lead(run: Factorization) -> str:
    """What came out, in a sentence or two."""
    (m, n), rank, beta = run.about.x.shape, run.about.parameters.rank, run.about.parameters.beta_loss
    square = 1 - run.relative_error**2
    fit = f", which leaves {percent(1 - square)} of ‖X‖²" if beta == 2 and 0 <= square <= 1 else ""
    end = {
        "finished": "",
        "running": " It is going on: this is its last saved state.",
        "stopped": " It was stopped before its end: this is its last saved state.",
    }[run.about.status]
    return (
        f"X has {count(m)} rows and {count(n)} columns, and is written as W V with {components(rank)}, by "
        f"{loss_in_words(beta)}{fit}.{end}"
    )


def _figures(run: Factorization) -> dict[str, str]:
    start = run.about.start
    assert start is not None
    return {
        "components": count(run.about.parameters.rank),
        "relative error": f"{run.relative_error:.4f}",
        "reads of X": f"{run.reads:.4g}",
        "pass" if run.about.iteration == 1 else "passes": count(run.about.iteration),
        "seconds": f"{start.seconds + float(np.sum(run.history['seconds'])):.3g}",
    }


def _why(run: Factorization, ranks: Ranking | None) -> str:
    rank = run.about.parameters.rank
    if ranks is None:
        return (
            f"{components(rank)} were asked for. This run alone does not say whether X has as many: an error that "
            f"falls with every further component is no proof of any."
        )
    chosen = "as the comparison of ranks picks" if ranks.best == rank else f"where the comparison picks {ranks.best}"
    return f"The run has {components(rank)}, {chosen}."


def _error(beta: float) -> str:
    """What the relative error is, for the loss of a β."""
    if beta == 2:
        return "The relative error is ‖X − W V‖ ÷ ‖X‖."
    known = {0.0: "the number of entries of X", 1.0: "the sum of X"}
    sums = known.get(beta, f"the sum of the entries of X to the power {beta:g}")
    return f"The relative error is √(loss ÷ {sums}), and the loss is twice {loss_in_words(beta)} of X from W V."


def _passes(run: Factorization) -> Passes:
    """The error pass by pass, and how often X had been read by then."""
    loss, seconds = run.history["loss"].astype("f8"), run.history["seconds"].astype("f8")
    start = run.about.start
    assert start is not None
    reads = (start.bytes_read + np.cumsum(run.history["bytes_read"].astype("f8"))) / run.about.x.nbytes
    errors = run.relative_error * np.sqrt(loss / loss[-1]) if loss[-1] > 0 else np.sqrt(loss)
    numbers = np.arange(1, len(loss) + 1)
    shown = thinned(len(loss), MOST_PASSES)
    rows = tuple(
        (count(int(numbers[i])), f"{errors[i]:.6f}", f"{loss[i]:.6e}", f"{reads[i]:.4g}", f"{seconds[i]:.3g}")
        for i in shown.tolist()
    )
    chart = _error_chart(numbers, errors, reads) if len(loss) > 1 else None
    return Passes(chart, ("pass", "relative error", "loss", "reads of X so far", "seconds"),
                  rows, len(loss) - len(shown))  # fmt: skip


def _error_chart(numbers: NDArray[np.int_], errors: NDArray[np.float64], reads: NDArray[np.float64]) -> Chart:
    keep = thinned(len(numbers))
    across = Scale(1, len(numbers))
    up = scale_of(errors[keep])
    x, y = across.percent(numbers[keep]), up.percent(errors[keep])
    says = [f"pass {numbers[i]}: relative error {errors[i]:.6f} after {reads[i]:.4g} reads of X" for i in keep.tolist()]
    curves = [Curve(line(x, y), "line")] + ([Curve(dots(x, y), "dots")] if len(keep) <= MOST_PASSES else [])
    return Chart(
        title="Relative error by pass",
        description=f"From {errors[0]:.4g} after pass 1 to {errors[-1]:.4g} after pass {len(errors)}.",
        x_label="passes",
        y_label="Relative error",
        x_ticks=across.ticks(6, whole=True),
        y_ticks=up.ticks(4),
        curves=tuple(curves),
        points=tuple(zip(x.tolist(), y.tolist(), says, strict=True)),
    )
