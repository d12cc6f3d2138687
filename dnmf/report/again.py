"""The commands that a report tells: how a run is made again, and what to do with it next."""

import shlex
from dataclasses import asdict, dataclass, replace
from typing import Any

from dnmf.losses import NAMED
from dnmf.matrix.foreign import is_given
from dnmf.parameters import DECLARED, Parameters, values_of
from dnmf.run.known import FIXED
from dnmf.run.record import Record, StoredX


@dataclass(frozen=True, slots=True)
class Command:
    """Something to type, and what it is for."""

    what: str
    text: str


def made_again(about: Record, run: str) -> Command:
    """How the run at a path is made again: as a command, where that can say all that was asked for; else in Python."""
    typed = _typed(about, about.parameters, run, begun=run)
    if typed is not None:
        return Command("To make it again:", typed)
    begun = "; it began from factors W and V that were given" if about.parameters.init == "given" else ""
    given = f"; X was {about.x.path}" if is_given(about.x.path) else ""
    return Command(f"To make it again, in Python{begun}{given}:", _called(about, run))


def next_commands(about: Record, run: str) -> tuple[Command, ...]:
    """What may be done next with the run at a path."""
    other = replace(about.parameters, seed=about.parameters.seed + 1)
    again = _typed(about, other, "other.zarr", begun=run)
    passes = ("--max-iter", str(2 * about.parameters.max_iter))
    stopped = about.status != "finished"
    x, beta = about.x.path, about.parameters.beta_loss
    sampled = about.start is not None and about.start.rows > 0 and all_stored(about.x, about.weights)
    maybe = {
        "Go on where it was left:": _line("resume", run) if stopped else None,
        "Go on, as it made all the passes that it might:": (
            _line("resume", run, *passes) if not stopped and about.iteration >= about.parameters.passes else None
        ),
        "See more of what leads components, and by other measures:": _line("components", run, "--top", "20"),
        "Ask how many components X has, from the sample of this run, without a read of X:": (
            _line(
                "ranks",
                x,
                *loss_option(beta),
                *x_options(about.weights, about.parameters),
                "--sample",
                run,
                "--out",
                "ranks.zarr",
            )
            if sampled
            else None
        ),
        "Factorize X again from another seed, and see what stays:": (
            f"{again} && {_line('compare', run, 'other.zarr')}" if again else None
        ),
        "Describe new rows by these components:": _line("transform", "NEW.zarr", "--model", run, "--out", "W.zarr"),
        "Draw it:": _line("plot", run, "--out", "figures"),
        "Open it in Python:": f"run = dnmf.open_run({run!r})  # run.V (k, n), run.W (m, k), run.labels",
    }
    return tuple(Command(what, text) for what, text in maybe.items() if text is not None)


def loss_option(beta: float) -> tuple[str, ...]:
    """How the command line asks for the loss of a β; nothing for least squares.

    >>> loss_option(1.0), loss_option(2.0)
    (('--beta-loss', 'kullback-leibler'), ())
    """
    named = {known: name for name, known in NAMED.items()}
    return () if beta == 2 else ("--beta-loss", named.get(beta, str(beta)))


def x_options(weights: StoredX | None, asked: Any) -> tuple[str, ...]:
    """How commands are told what of X counts: where weights are, what is missing, what is below zero."""
    said = [name for name in ("missing", "negative") if getattr(asked, name) != DECLARED[name].default]
    options = (word for name in said for word in _option(name, getattr(asked, name)))
    return *_weights_option(weights), *options


def all_stored(x: StoredX, weights: StoredX | None) -> bool:
    """Whether X, and its weights where it has some, are where a command finds them."""
    return not is_given(x.path) and (weights is None or not is_given(weights.path))


def _weights_option(weights: StoredX | None) -> tuple[str, ...]:
    return () if weights is None else ("--weights", weights.path)


def _line(*words: str) -> str:
    return shlex.join(["dnmf", *words])


def _asked(parameters: Parameters) -> dict[str, object]:
    """What was asked for, but for what is so by default."""
    values = asdict(parameters)
    defaults = values_of({"rank": None, "alpha_W": parameters.alpha_W}) | {"alpha_W": 0.0}
    return {name: value for name, value in values.items() if value != defaults[name]}


def _typed(about: Record, parameters: Parameters, run: str, *, begun: str) -> str | None:
    """The `dnmf factorize` of a run's X and weights that asks for these parameters; None where it cannot.

    Known components are taken from the run that was `begun` with them.
    """
    asked = _asked(parameters) | ({} if parameters.fixed is None else {"fixed": _known(begun)})
    takes_all = all(DECLARED[name].flags for name in asked)
    if not (all_stored(about.x, about.weights) and takes_all) or parameters.init == "given":
        return None
    options = (word for name, value in asked.items() for word in _option(name, value))
    return _line("factorize", about.x.path, *_weights_option(about.weights), *options, "--out", run)


def _known(run: str) -> str:
    """Where a run keeps the components that it was given."""
    return f"{run}/{FIXED}"


def _option(name: str, value: Any) -> tuple[str, ...]:
    """A parameter as the command line spells it."""
    flag = DECLARED[name].flags[0]
    if isinstance(value, bool):
        yes, _, no = flag.partition("/")
        return (yes if value else no,)
    if name == "beta_loss":
        return loss_option(value)
    return flag, f"{value}B" if name == "memory_limit" else str(value)


def _called(about: Record, run: str) -> str:
    """The call of `dnmf.factorize` that asks for what a run was asked for."""
    given = {"init": "(W, V)"} if about.parameters.init == "given" else {}
    given |= {} if about.parameters.fixed is None else {"fixed": repr(_known(run))}
    words = {name: repr(value) for name, value in _asked(about.parameters).items()} | given | {"out": repr(run)}
    if about.weights is not None:
        words["weights"] = "weights" if is_given(about.weights.path) else repr(about.weights.path)
    x = "X" if is_given(about.x.path) else repr(about.x.path)
    return f"dnmf.factorize({', '.join([x, *(f'{name}={text}' for name, text in words.items())])})"
