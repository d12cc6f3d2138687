"""What `extend` extends: a run with its sample, and which rows are new to it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import zarr

from dnmf.arrays.rows import Array, columns_of, holds_sparse
from dnmf.matrix.foreign import is_given
from dnmf.matrix.labels import Labels
from dnmf.matrix.matrix import Matrix
from dnmf.matrix.sparse import FORMATS
from dnmf.matrix.stacked import Range, Stacked, stacked
from dnmf.run.kept_sample import StoredSample, has_sample, read_sample
from dnmf.run.opening import IDENTITY, open_whole
from dnmf.run.record import Record
from dnmf.run.result import Factorization, open_without_W
from dnmf.run.stored_x import open_rows
from dnmf.stores.identity import nested, same
from dnmf.stores.paths import absolute, shown
from dnmf.stores.places import location_of


@dataclass(frozen=True, slots=True)
class Base:
    """What is extended.

    Attributes
    ----------
    path, identity : of the run.
    record : what it says of itself.
    V : (k, n)
    kept : the sample that it keeps.
    columns : the names of columns, as Labels without rows.
    permuted : whether V and the sample have the columns of the new rows, in another order than the run's.
    """

    path: str
    identity: str | None
    record: Record
    V: Array
    kept: StoredSample
    columns: Labels
    permuted: bool = False

    @classmethod
    def of(cls, run: str | Path | zarr.Group) -> "Base":
        """A run that can be extended."""
        if isinstance(run, Factorization):
            raise TypeError("run is a Factorization: give the path of the run, which `factorize(…, out=…)` writes")
        group, record = open_whole(run)
        where = location_of(group) or shown(group.store_path)
        if not has_sample(group):
            raise ValueError(
                f"{where} keeps no sample (its init was {record.parameters.init!r}), and old rows are not read: "
                f"factorize all rows together, with init 'sample'"
            )
        kept = read_sample(group)
        if (record.state.axis, kept.axis) != (0, 0):
            raise ValueError(
                f"X of {where} was cut along its columns, of which it keeps a sample, and new rows are part of every "
                f"column: for their W alone take `dnmf transform`; for V of all rows, factorize them together"
            )
        token, found = group.attrs.get(IDENTITY), open_without_W(group)
        columns = replace(found.labels, rows=None)
        return cls(where, None if token is None else str(token), record, found.V, kept, columns)

    def checked_weights(self, weights: object) -> object:
        """The weights of the new rows, if they have some where the old ones have."""
        if (weights is None) != (self.record.weights is None):
            held = ("without", "leave them out") if weights is not None else ("with", "give those of the new rows")
            raise ValueError(f"the run was begun {held[0]} weights of the entries of X: {held[1]} (weights=)")
        return weights

    def check(self, new: Matrix) -> None:
        """Refuse new rows that do not go with the old ones."""
        n, dtype, sparse = self.V.shape[1], np.dtype(self.record.state.dtype), holds_sparse(self.kept.sample.rows)
        if new.grid.shape[1] != n:
            raise ValueError(
                f"the new rows have {new.grid.shape[1]} columns and the run's X has {n}: as many are required"
            )
        if new.dtype != dtype:
            raise ValueError(
                f"the new rows would be computed with in {new.dtype} and the run was in {dtype}: give them as {dtype}"
            )
        if new.sparse != sparse:
            kinds = ("dense", "sparse")
            raise ValueError(
                f"the new rows are {kinds[new.sparse]} and those of the run are {kinds[sparse]}: give both alike"
            )
        if 0 not in new.grid.axes:
            raise ValueError(
                f"{new.location} is stored column by column ({FORMATS[1]}), and whole rows are needed: write it row "
                f"by row, as {FORMATS[0]}"
            )

    def in_columns_of(self, new: Matrix) -> "Base":
        """The same with columns in the order of those of the new rows, by their names."""
        labels = new.labels
        if (places := labels.columns_in(self.columns.columns)) is None:
            return self if labels.columns is None else replace(self, columns=replace(labels, rows=None))
        rows = columns_of(self.kept.sample.rows, places)
        kept = replace(self.kept, sample=replace(self.kept.sample, rows=rows))
        return replace(self, V=self.V[:, places], kept=kept, columns=replace(labels, rows=None), permuted=True)

    def check_apart(self, out: str | Path) -> None:
        """Refuse an output that is where the run is, or one of its rows."""
        places = [(self.path, "the run")]
        places += [(part.path, "its X") for part in self.record.all_rows if not is_given(part.path)]
        for where, what in places:
            if nested(absolute(out), where):
                raise ValueError(
                    f"the output {out} and {what} at {where} are inside one another: choose another output"
                )


def new_rows(matrix: Matrix, record: Record) -> Matrix | None:
    """X, or, where rows were appended to an array that is there already, these alone; None where it has no new ones."""
    matrix = matrix.by_rows()
    known = [part.stop for part in record.all_rows if matrix.stored and same(part.path, matrix.location)]
    if not known:
        return matrix
    rows = matrix.grid.shape[0]
    return stacked([Range(matrix, max(known), rows)]) if rows > max(known) else None


def all_rows(base: Base, new: Matrix | None) -> Matrix:
    """Old and new rows as one matrix.

    Raises
    ------
    ValueError
        If some are in no store, are not what they were, or make no one matrix.
    """
    record = base.record
    lost = [part.path for part in record.all_rows if is_given(part.path)]
    if lost or not (new is None or new.stored):
        raise ValueError(
            f"exact reads old and new rows from where they are stored in Zarr, and some were "
            f"{lost[0] if lost or new is None else new.location}: factorize all of them together"
        )
    if base.permuted:
        raise ValueError(
            "exact reads old and new rows as one matrix, and their columns are in another order: write them alike"
        )
    old = open_rows(record.all_rows, record.parameters.missing)
    if len(old.parts) == 0 and not record.x.parts and not record.before and old.fingerprint != record.x.fingerprint:
        raise ValueError(f"{old.location} is not what it was when the run read it: factorize all rows together")
    return stacked([*_ranges(old), *(() if new is None else _ranges(new))])


def _ranges(matrix: Matrix) -> tuple[Range, ...]:
    return matrix.ranges if isinstance(matrix, Stacked) else (Range(matrix, 0, matrix.grid.shape[0]),)
