"""What the report of a comparison of ranks says, as values that a template sets in a page."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from dnmf.components.features import most_specific, specificity, weights
from dnmf.components.table import shortened
from dnmf.matrix.foreign import is_given
from dnmf.report.again import Command, all_stored, loss_option, x_options
from dnmf.report.facts import stored_facts
from dnmf.report.portraits import IN_TABLE, LONGEST, NAMED, Bars, feature_bars
from dnmf.report.rank_view import RankView, rank_view
from dnmf.report.words import components, count, decimal, loss_in_words
from dnmf.run.ranking import Ranking


@dataclass(frozen=True, slots=True)
class Sketched:
    """What the sample says of a component: its number, how sure it is, the names that lead it, and these as bars."""

    number: int
    agreement: str
    width: float
    names: tuple[str, ...]
    features: Bars


@dataclass(frozen=True, slots=True)
class RanksPage:
    """The report of a comparison of ranks.

    Attributes
    ----------
    title, lead : of the page, and the most important sentence.
    figures : the most important numbers, by name.
    ranks : curves and table.
    components : of the rank that was picked, the surest first.
    of : what leads components, "columns" or "rows".
    matrix, made : what there is to say of X, and of how ranks were compared.
    again, then : how it is made again, and what may be done next.
    stands_for : nothing: the path in commands is known.
    """

    title: str
    lead: str
    figures: Mapping[str, str]
    ranks: RankView
    components: tuple[Sketched, ...]
    of: str
    matrix: Mapping[str, str]
    made: Mapping[str, str]
    again: Command
    then: tuple[Command, ...]
    stands_for: str = ""


def ranks_page_of(found: Ranking, at: str) -> RanksPage:
    """The report of a comparison of ranks that is at a path. X is not read."""
    x, asked, state = found.about.x, found.about.asked, found.about.state
    name = x.path if is_given(x.path) else PurePosixPath(x.path).name
    return RanksPage(
        title=f"How many components {name} has",
        lead=found.sentence,
        figures={
            "components picked": count(found.best),
            "error is least at": count(int(found.ranks[np.argmin(found.held_out)])),
            "ranks compared": f"{count(int(found.ranks[0]))} to {count(int(found.ranks[-1]))}",
            "agreement at worst": decimal(float(found.agreement[found.best].min())),
        },
        ranks=rank_view(found),
        components=_sketched(found),
        of="columns" if state.axis == 0 else "rows",
        matrix=stored_facts(x, found.labels),
        made={
            "Loss": loss_in_words(asked.beta_loss),
            "Sample": f"{count(state.sample or 0)} {'rows' if state.axis == 0 else 'columns'} of X at most",
            "Starts": f"{asked.starts} for each factorization of a half",
            "Verified on all of X": ", ".join(map(str, sorted(found.verified))) or "none",
            "Seed": str(asked.seed),
            "Versions": ", ".join(f"{name} {version}" for name, version in found.about.versions.items()),
        },
        again=_again(found, at),
        then=_then(found, at),
    )


def _sketched(found: Ranking) -> tuple[Sketched, ...]:
    """The components of the rank that was picked, the surest first."""
    V, sure = found.components[found.best], found.agreement[found.best]
    names, kind = (found.labels.columns, "column") if found.about.state.axis == 0 else (found.labels.rows, "row")
    # How much of X each of them is, is not known before all of X is looked at: all count the same here.
    alike, scores = weights(V), specificity(V, np.ones(len(V)))
    leads = most_specific(scores, alike, NAMED)
    drawn = []
    for a in np.argsort(-sure, kind="stable").tolist():
        called = [str(j) if names is None else str(names[j]) for j in leads[a].tolist()]
        features = feature_bars(called, scores[a, leads[a]], alike[a, leads[a]], kind)
        short = tuple(shortened(name, LONGEST) for name in called[:IN_TABLE])
        drawn.append(Sketched(a + 1, decimal(float(sure[a])), float(sure[a]), short, features))
    return tuple(drawn)


def _again(found: Ranking, at: str) -> Command:
    x, asked = found.about.x, found.about.asked
    ranks = _listed(asked.ranks)
    if not all_stored(x, weights := found.about.weights):
        counts = "" if asked.missing is None else f"missing={asked.missing!r}, "
        counts += "" if weights is None else "weights=weights, "
        given = f"{ranks!r}, beta_loss={asked.beta_loss}, {counts}starts={asked.starts}, seed={asked.seed}, out={at!r}"
        return Command(f"To make it again, in Python; X was {x.path}:", f"dnmf.ranks(X, {given})")
    how = (*loss_option(asked.beta_loss), *x_options(weights, asked))
    words = ["dnmf", "ranks", x.path, "--ranks", ranks, *how, "--starts", str(asked.starts)]
    words += ["--verify", _listed(asked.verify)] if asked.verify else []
    return Command("To make it again:", shlex.join([*words, "--seed", str(asked.seed), "--out", at]))


def _then(found: Ranking, at: str) -> tuple[Command, ...]:
    """What may be done next."""
    x, beta, last = found.about.x, found.about.asked.beta_loss, int(found.ranks[-1])
    counts = x_options(found.about.weights, found.about.asked)
    drawn = Command("Draw it:", shlex.join(["dnmf", "plot", at, "--out", "figures"]))
    if not all_stored(x, found.about.weights):
        return (drawn,)
    how = (*(() if beta == 2 else ("--solver", "mu")), *loss_option(beta), *counts)
    again = ["dnmf", "factorize", x.path, "--rank", str(found.best), *how, "--sample", at, "--out", "run.zarr"]
    commands = [Command(f"Factorize X with {components(found.best)}, one read of X less:", shlex.join(again))]
    if int(found.ranks[np.argmin(found.held_out)]) == last:
        more = ["--ranks", f"{last}:{2 * last}", *loss_option(beta), *counts, "--sample", at, "--out", "more.zarr"]
        what = "Ask for more components, as no minimum lies in the range:"
        commands.append(Command(what, shlex.join(["dnmf", "ranks", x.path, *more])))
    return (*commands, drawn)


def _listed(ranks: tuple[int, ...]) -> str:
    """Ranks as they are typed.

    >>> _listed((2, 3, 4)), _listed((2, 4))
    ('2:4', '2,4')
    """
    if len(ranks) > 1 and ranks == tuple(range(ranks[0], ranks[-1] + 1)):
        return f"{ranks[0]}:{ranks[-1]}"
    return ",".join(map(str, ranks))
