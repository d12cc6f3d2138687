"""The commands that a report tells: how a run is made again, and what to do with it next."""

import shlex
from dataclasses import asdict, dataclass, replace

from dnmf.losses import NAMED
from dnmf.matrix.foreign import is_given
from dnmf.parameters import DECLARED, Declared, Parameters, values_of
from dnmf.run.record import Record


@dataclass(frozen=True, slots=True)
class Command:
    """Something to type, and what it is for."""

    what: str
    text: str


def made_again(about: Record, run: str) -> Command:
    """How the run at a path is made again: as a command, where that can say all that was asked for; else in Python."""
    asked = _asked(about.parameters)
    if about.parameters.init == "given":
        what = "To make it again, in Python; it began from first factors W and V that were given:"
    elif is_given(about.x.path):
        what = f"To make it again, in Python; X was {about.x.path}:"
    elif all(DECLARED[name].flags for name in asked):
        return Command("To make it again:", shlex.join(_typed(about.x.path, run, asked)))
    else:
        what = "To make it again, in Python:"
    X = "X" if is_given(about.x.path) else repr(about.x.path)
    given = {"init": "(W, V)"} if about.parameters.init == "given" else {}
    words = {name: repr(value) for name, value in asked.items()} | given
    return Command(what, f"dnmf.factorize({', '.join([X, *(f'{k}={v}' for k, v in words.items()), f'out={run!r}'])})")


def next_commands(about: Record, run: str) -> tuple[Command, ...]:
    """What may be done next with the run at a path."""
    found = []
    if about.status != "finished":
        found.append(Command("Go on where it was left:", shlex.join(["dnmf", "resume", run])))
    elif about.iteration >= about.parameters.passes:
        more = str(2 * about.parameters.max_iter)
        found.append(Command("Go on, as it made all the passes that it might:", _line("resume", run, "--max-iter", more)))
    if about.parameters.init != "given" and not is_given(about.x.path) and all(map(_flags, _asked(about.parameters))):
        other = replace(about.parameters, seed=about.parameters.seed + 1)
        words = _typed(about.x.path, "other.zarr", _asked(other))
        found.append(Command("Factorize again from another seed, to see what stays:", shlex.join(words)))
    found += [
        Command("Describe new rows by these components:", _line("transform", "NEW.zarr", "--model", run, "--out", "W.zarr")),
        Command("Draw it:", _line("plot", run, "--out", "figures")),
        Command("Open it in Python:", f"run = dnmf.open_run({run!r})  # run.V (k, n), run.W (m, k), run.labels"),
    ]
    return tuple(found)


def _line(*words: str) -> str:
    return shlex.join(["dnmf", *words])


def _flags(name: str) -> tuple[str, ...]:
    return DECLARED[name].flags


def _asked(parameters: Parameters) -> dict[str, object]:
    """What was asked for, but for what is so by default."""
    values = asdict(parameters)
    defaults = values_of({"rank": None, "alpha_W": parameters.alpha_W})
    return {name: value for name, value in values.items() if value != defaults[name] or name == "alpha_W" and value}


def _typed(x: str, run: str, asked: dict[str, object]) -> list[str]:
    """The words of `dnmf factorize`."""
    words = ["dnmf", "factorize", x]
    for name, value in asked.items():
        words += _option(DECLARED[name], name, value)
    return [*words, "--out", run]


def _option(declared: Declared, name: str, value: object) -> list[str]:
    flag = declared.flags[0]
    if isinstance(value, bool):
        yes, _, no = flag.partition("/")
        return [yes if value else no]
    if name == "beta_loss":
        value = next((word for word, beta in NAMED.items() if beta == value), value)
    return [flag, f"{value}B" if name == "memory_limit" else f"{value:g}" if isinstance(value, float) else str(value)]
