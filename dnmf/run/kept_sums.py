"""The sums of the last pass in a run: what components are is told from them, without a read of X."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
import zarr
from msgspec import Meta

from dnmf.arrays.sample import ColumnSums
from dnmf.components.sums import F8, ComponentSums
from dnmf.run.arrays import below, has, open_array, read_whole, write_array
from dnmf.run.kept_sample import has_sample, read_totals
from dnmf.run.record import Record, open_below
from dnmf.validation import Mismatch, validated

# Their group in a generation, and at the top of a finished run.
SUMS = "sums"


class _Numbers(msgspec.Struct, frozen=True):
    """The attributes of the group."""

    norm: Annotated[float, Meta(ge=0)]


def write_sums(group: zarr.Group, at: str, sums: ComponentSums, across: str) -> None:
    """Write the sums of a pass to the generation at a path; `across` is the short factor's dimension, row or column."""
    path = below(at, SUMS)
    # A process that was killed as it ended a run may have left a part of them.
    group.create_group(path, overwrite=True, attributes=msgspec.to_builtins(_Numbers(float(sums.norm))))
    component = ("component",)
    write_array(group, below(path, "mass"), sums.mass, component)
    if sums.gram is None or sums.residual is None:
        write_array(group, below(path, "squares"), sums.squares, component)
    else:
        # Its diagonal are the squares.
        write_array(group, below(path, "gram"), sums.gram, ("component", "component_2"))
        write_array(group, below(path, "residual"), sums.residual, ("component", across))
        if sums.energy is not None:
            write_array(group, below(path, "energy"), sums.energy, component)


def read_sums(group: zarr.Group, record: Record) -> ComponentSums | None:
    """The sums of the pass that a record names, of X times 2 to `record.state.exponent`.

    None where it has none: runs of older versions, and generations between which a run goes on.

    Raises
    ------
    OSError, ValueError
        If they are damaged, or none that dnmf wrote.
    """
    path = below(record.at or "", SUMS)
    if record.at is None or not has(group, path):
        return None
    found, k, axis = open_below(group, path), record.parameters.rank, record.state.axis

    def refuse(wrong: Mismatch) -> ValueError:
        return ValueError(f"{wrong.of(str(found.store_path))}: the run is damaged; resume it for one more pass")

    numbers = validated(dict(found.attrs), _Numbers, refuse)

    def read(name: str, *shape: int) -> F8:
        return np.asarray(read_whole(open_array(found, name, shape)))

    mass = read("mass", k)
    if record.parameters.beta_loss != 2:
        return ComponentSums(mass, read("squares", k), numbers.norm)
    gram, residual = read("gram", k, k), read("residual", k, record.x.shape[1 - axis])
    energy = read("energy", k) if record.weighted else None
    return ComponentSums(mass, np.diag(gram), numbers.norm, gram, residual, energy)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run keeps of the reads of X, all of it of X times 2 to `record.state.exponent`.

    Attributes
    ----------
    sums : of the last pass, or None.
    total : ΣX, or None.
    columns : Σx and Σx² of each column of X, or None.
    """

    sums: ComponentSums | None = None
    total: float | None = None
    columns: ColumnSums | None = None


def read_kept(group: zarr.Group, record: Record) -> Kept:
    """What a run keeps of the reads of X beside its factors, as far as it does.

    Raises
    ------
    OSError, ValueError
        If it is damaged.
    """
    sums = read_sums(group, record)
    if not has_sample(group):
        return Kept(sums)
    found = read_totals(group, record.x.shape[1])
    by = record.state.exponent - found.exponent
    return Kept(sums, float(np.ldexp(found.total, by)), found.columns and found.columns.times_power(by))
