"""The command line: demo, convert, factorize, info, plot. It parses, calls one function, and prints."""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console

console = Console(highlight=False, soft_wrap=True)

# What a mistake of the user's or the world's raises: its sentence is shown alone. Anything else is a defect of ours.
EXPECTED = (OSError, ValueError, TypeError, MemoryError, RuntimeError, ImportError, ArithmeticError)


COUNT, SHARE = click.IntRange(min=1), click.FloatRange(0, 1, max_open=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="dnmf")
def cli() -> None:
    """Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory."""


class Bytes(click.ParamType[int]):
    """A number of bytes with a unit, such as 2GiB or 640MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of a text."""
        from dask.utils import parse_bytes

        try:
            size = int(parse_bytes(value))
        except ValueError:
            size = 0
        if size < 1:
            self.fail(f"{value!r} is not a size: give a number with a unit, such as 2GiB", param, ctx)
        return size


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("dnmf-demo"), help="Folder to write to.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def demo(out: Path, quiet: bool) -> None:
    """Factorize mixtures of Gaussians, with pictures.

    The experiment of the article: 16 384 mixtures of four Gaussians, the plain rules of Lee and Seung, 256 passes.
    """
    from dnmf.cluster import local_cluster
    from dnmf.demo import demo as run_demo
    from dnmf.terminal import shown

    with local_cluster(), shown(console, quiet=quiet) as listeners, _interrupts() as again:
        made = run_demo(out, listeners=(*listeners, again))
    for name, path in made.files.items():
        console.print(f"{name:16s} {path}")


@cli.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--dataset", help="Matrix in a .npz or .h5 file that has several; in .h5ad, instead of X.")
@click.option("--overwrite", is_flag=True, help="Replace a Zarr array or group at TARGET.")
def convert(source: Path, target: Path, dataset: str | None, overwrite: bool) -> None:
    """Write a matrix file as well-chunked Zarr.

    SOURCE is a .npy, .npz, .csv, .mtx, .h5 or .h5ad file. It is streamed and never whole in memory. What is sparse
    stays sparse.
    """
    from dnmf.convert import convert as run_convert
    from dnmf.convert import described

    made = run_convert(source, target, dataset=dataset, overwrite=overwrite)
    console.print(f"{target}: {described(made)}")


@cli.command()
@click.argument("x")
@click.option("--rank", type=COUNT, required=True, help="Number of components k.")
@click.option("--out", required=True, help="The run to write.")
@click.option("--solver", type=click.Choice(["cd", "mu"]), default="cd", help="Coordinate descent or multiplicative.")
@click.option(
    "--init",
    type=click.Choice(["sample", "nndsvd", "nndsvda", "nndsvdar", "random"]),
    default="sample",
    help="First factors; all but random come from a sample of X, which one read of X gives.",
)
@click.option("--max-iter", type=COUNT, default=200, help="Passes over X at most, that of the sample aside.")
@click.option(
    "--tol",
    type=SHARE,
    default=3e-4,
    help="Stop where one more pass would decrease the loss by less than this share of itself; 0: never.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of everything random.")
@click.option("--inner-iter", type=COUNT, help="Updates of a factor per pass; as many as pay if not given.")
@click.option("--snapshot-every", type=COUNT, help="Keep the short factor every so many passes.")
@click.option("--cache/--no-cache", default=True, help="Keep X in memory where it fits in half of it.")
@click.option("--sample", help="An earlier run on the same X, whose sample is taken instead of reading X for one.")
@click.option("--memory-limit", type=Bytes(), help="Per worker, such as 2GiB.")
@click.option(
    "--workers",
    type=COUNT,
    help="Worker processes here; one per core if not given.",
)
@click.option("--scheduler", help="Address of a Dask scheduler that runs already, such as tcp://host:8786.")
@click.option("--cluster", "profile", help="A cluster.yaml, or cluster.yaml:NAME for one of its profiles.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--overwrite", is_flag=True, help="Replace a run at --out.")
def factorize(
    x: str,
    out: str,
    workers: int | None,
    scheduler: str | None,
    profile: str | None,
    quiet: bool,
    **parameters: Any,
) -> None:
    """Factorize a Zarr array, X ≈ W V. A member of a group is X.zarr/layers/counts."""
    from dnmf.cluster import connect
    from dnmf.factorization import factorize as run_factorize
    from dnmf.matrices import open_matrix
    from dnmf.runs import check_out
    from dnmf.terminal import shown

    where = _cluster(workers, parameters["memory_limit"], scheduler, profile)
    # A wrong path is told before a cluster is started.
    open_matrix(x)
    check_out(out, overwrite=parameters["overwrite"])
    with connect(where), shown(console, quiet=quiet) as listeners, _interrupts() as again:
        result = run_factorize(x, out=out, listeners=(*listeners, again), **parameters)
    if not quiet:
        console.print(
            f"{out}: relative error {result.relative_error:.6f}, {result.reads:g} reads of X; "
            f"`dnmf info {out}` tells more"
        )


def _cluster(workers: int | None, memory: int | None, scheduler: str | None, profile: str | None) -> Any:
    """The cluster that the options name: at most one of the three ways."""
    from dnmf.cluster import Profile, read_profile

    given = [
        name for name, value in (("--workers", workers), ("--scheduler", scheduler), ("--cluster", profile)) if value
    ]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} and {given[1]} both say where to compute: give one of them")
    if profile:
        return read_profile(profile)
    if scheduler:
        return Profile("scheduler", {"address": scheduler})
    return Profile("local", {"workers": workers, "memory": memory})


@cli.command()
@click.argument("run")
def info(run: str) -> None:
    """Tell what a run is and why it stopped."""
    from dnmf.results import open_run

    result = open_run(run)
    for name, text in facts(result.record, result.history, result.reads).items():
        click.echo(f"{name:15s} {text}")


def facts(record: Mapping[str, Any], history: Mapping[str, Any], reads: float) -> dict[str, str]:
    """What there is to tell of a run, by name, in the order in which it is shown."""
    x, asked, seconds = record["x"], record["parameters"], [float(s) for s in history["seconds"]]
    shape, chunks = (" × ".join(map(str, x[name])) for name in ("shape", "chunks"))
    rows_or_columns = ("rows", "columns")[record["state"]["axis"]]
    return {
        "status": record["status"],
        "X": f"{x['path']}, {shape} {x['dtype']}, chunks of {chunks}",
        "strips": f"{record['state']['height']} {rows_or_columns} each",
        "parameters": ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None),
        "passes": str(record["iteration"]),
        "loss": f"{float(history['loss'][-1]):.6e}",
        "relative error": f"{record['relative_error']:.6f}",
        "gradient": f"{float(history['gradient'][-1]):.3e}, projected, of the short factor",
        "start": _begun(record["start"], rows_or_columns),
        "seconds": f"{record['start']['seconds'] + sum(seconds):.2f} in all, {median(seconds):.3f} a pass (median)",
        "reads": f"{reads:g} of X",
        "stopped": record["stopped"] or "no: it is going on, or was killed",
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
    }


def _begun(start: Mapping[str, Any], rows_or_columns: str) -> str:
    """How the first factors came about."""
    if not start["rows"]:
        return "no sample"
    error = "" if start["relative_error"] is None else f", relative error {start['relative_error']:.6f} there"
    return f"{start['seconds']:.2f} s for a sample of {start['rows']} {rows_or_columns}{error}"


@cli.command()
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--x", help="Where X is now, if it has moved since.")
def plot(run: str, out: Path, x: str | None) -> None:
    """Draw loss, components and reconstructions."""
    from dnmf.results import open_run
    from dnmf.matrices import open_matrix
    from dnmf.plots import run_figures, save

    result = open_run(run)
    path = x or result.record["x"]["path"]
    try:
        X = open_matrix(path).array
    except FileNotFoundError:
        console.print(f"X is not at {path}: drawn without reconstructions (--x says where it is)")
        X = None
    for name, file in save(run_figures(result, X), out).items():
        console.print(f"{name:16s} {file}")


@contextmanager
def _interrupts() -> Iterator[Callable[[object], None]]:
    """A listener that interrupts again where the first Ctrl-C was lost.

    Python drops an exception that is raised in a finalizer, and Dask's futures have finalizers.
    """
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def again(event: object) -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield again
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _sentences() -> Iterator[None]:
    """Show an expected error as its sentence alone, on stderr, and exit 1."""
    try:
        yield
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except EXPECTED as error:
        click.echo(str(error) or type(error).__name__, err=True)
        sys.exit(1)


def main() -> None:
    """Run the command line."""
    with _sentences():
        try:
            cli(standalone_mode=False)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
