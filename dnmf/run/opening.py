"""Where results live: a run is a Zarr v3 group that xarray opens, with the factors, the history and a record.

While a run is going on, a generation (W, V and the history so far) is written to a sub-group of its own, then one write
of the record names it, then generations older than the previous one are deleted. A finished run holds its factors at
the top, and no generations. An array's metadata is written after its chunks, so that what is listed is whole. Every
generation has a group `next` with what the next pass needs and no reader does; first factors have a generation with
nothing else. What the last pass says of every component is the group `sums`, see `dnmf.run.kept_sums`; a generation
that the run goes on from has none. The names of X's rows and columns, where it has any, are the arrays `row` and
`column` at the top. The groups `lease` and `cancel` are those of `dnmf.run.lease`, `sample` is that of
`dnmf.run.kept_sample`; `fixed` are the components that the run was given, if any, see `dnmf.run.known`.

The attribute `dnmf_run` is a token, another one for every run at a path. The record is the JSON attribute `dnmf`, of
which a run that has just begun has the first four keys:

    format          a number; see `dnmf.run.record` for what older ones cost
    status          "running", "finished" or "stopped"
    stopped         a sentence that says why the run ended, or null
    at              path of the sub-group that holds the last whole generation, "" for the top, null for none yet
    iteration       passes of that generation
    relative_error  ‖X − W V‖ / ‖X‖ of that generation; for other losses √(loss / Σ x^β)
    x               path, shape, dtype, chunks, decoded bytes, fingerprint, and squared norm (Σ x^β) of X; where
                    it is not all that is at its path, `parts`: path, first row and one beyond the last of each
    parameters      everything that was asked for, the seed too
    start           how the first factors came about, null before they are there
    state           how X is cut, what is saved how often, and `next`: path of the group from which a resumed run goes
                    on, null where there are no first factors yet; what is there is that of X times 2 to the `exponent`
    versions        of dnmf, dask, numpy and zarr
    weights         of the entries of X, as `x`; null where all count the same
    observed        how many entries of X are there, and rows and columns without any; null before X was read once, and
                    where all are
    extends         the run that this one extends by new rows, where these rows are, and whether they are in X, too; or
                    null
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from uuid import uuid4

import zarr
from zarr.storage import MemoryStore

from dnmf.run.generations import GENERATIONS, MEMBERS
from dnmf.run.known import FIXED
from dnmf.run.labels import COLUMN, ROW
from dnmf.run.lease import check_free
from dnmf.run.record import FORMAT, Begun, Record, as_json, parse_record
from dnmf.stores.paths import absolute, refuse_bucket
from dnmf.stores.places import answering, check_nothing_mounted, followed, occupied, place

# The attribute of a group with the W of new rows, as `dnmf` is that of a run; and the one of a run that never changes.
TRANSFORMED, IDENTITY = "dnmf_transformed", "dnmf_run"


def create_run(out: str | Path | None, *, overwrite: bool) -> zarr.Group:
    """Start a run at a path, or in this process's memory where `out` is None.

    Raises
    ------
    FileExistsError
        If something is there already: see `check_out`.
    """
    begun = as_json(Begun(format=FORMAT, status="running", stopped=None, at=None))
    exists = out is not None and check_out(out, overwrite=overwrite)
    store = MemoryStore() if out is None else place(followed(out))
    group = zarr.create_group(store, overwrite=exists, attributes={"dnmf": begun, IDENTITY: uuid4().hex})
    for name in (*MEMBERS, ROW, COLUMN, FIXED, "sample", "lease", "cancel") if exists else ():
        # What a listing left out would be taken for this run's.
        if name in group:
            del group[name]
    group.create_group(GENERATIONS, overwrite=exists)
    return group


def create_transformed(out: str | Path, record: Mapping[str, object], *, overwrite: bool) -> zarr.Group:
    """Start a group for the W of new rows, which a run's V belongs to: see `dnmf.factorization.transform`."""
    exists = check_out(out, overwrite=overwrite, mark=TRANSFORMED)
    return zarr.create_group(place(followed(out)), overwrite=exists, attributes={TRANSFORMED: record})


def check_out(out: str | Path, *, overwrite: bool, mark: str = "dnmf") -> bool:
    """Whether there is a run at a path that a new one may replace; False where there is nothing.

    With the mark of a transformed X, the same for the W of one.

    Raises
    ------
    FileExistsError
        If something is there that may not be replaced.
    Busy
        If another process is at work on the run that is there.
    """
    path = absolute(out)
    refuse_bucket(path, "run.zarr")
    if not occupied(path):
        return False
    group = group_at(path)
    if not overwrite and not _holds_nothing(group):
        raise FileExistsError(f"{out} exists: choose another output, or overwrite it with --overwrite (overwrite=True)")
    if group is None or mark not in group.attrs:
        kind = "a run of dnmf" if mark == "dnmf" else "a transformed X"
        raise FileExistsError(f"{out} exists and is not {kind}, so it is not overwritten: choose another output")
    check_free(group)
    check_nothing_mounted(path)
    return True


def group_at(path: str, mode: Literal["r", "r+"] = "r") -> zarr.Group | None:
    """The group at a path, or None where there is none that can be opened."""
    try:
        return zarr.open_group(answering(path), mode=mode)
    except (FileNotFoundError, ValueError, NotADirectoryError, KeyError, TypeError, AttributeError):
        # The last three are what Zarr makes of metadata that nobody's library wrote.
        return None


def _holds_nothing(group: zarr.Group | None) -> bool:
    """Whether a run has ended before it had first factors."""
    if group is None or "dnmf" not in group.attrs:
        return False
    try:
        record = parse_record(group.attrs["dnmf"], group.store_path)
    except ValueError:
        return False
    # A process that was killed as it began has not even said what it was asked for.
    return record.at is None and (
        not isinstance(record, Record) or (record.start is None and record.status == "stopped")
    )


def identity_at(path: str) -> str | None:
    """The token of the run at a path, another one for every run there; None where there is none."""
    group = group_at(path) if occupied(path) else None
    token = None if group is None else group.attrs.get(IDENTITY)
    return None if token is None else str(token)


def open_whole(path: str | Path | zarr.Group) -> tuple[zarr.Group, Record]:
    """The group and the record of a run that holds a whole generation.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or one that holds no whole generation yet.
    """
    group, record = open_group(path)
    if isinstance(record, Record) and record.at is not None:
        return group, record
    if record.status == "running":
        raise ValueError(f"{path} holds no whole generation yet: wait, or `dnmf resume` it if it was killed")
    raise ValueError(f"{path} holds no whole generation: it {record.stopped}; `dnmf resume` it")


def open_group(path: str | Path | zarr.Group, mode: Literal["r", "r+"] = "r") -> tuple[zarr.Group, Begun]:
    """The group and the record of a run, whatever it holds.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no run, or one of a newer format, or none that dnmf wrote.
    """
    if isinstance(path, zarr.Group):
        group = path
    else:
        if not occupied(absolute(path)):
            raise FileNotFoundError(f"there is no run at {path}: give the --out of a factorization")
        found = group_at(absolute(path), mode)
        if found is None or "dnmf" not in found.attrs:
            raise ValueError(f"{path} is not a run of dnmf: give the --out of a factorization")
        group = found
    return group, parse_record(group.attrs["dnmf"], path)
