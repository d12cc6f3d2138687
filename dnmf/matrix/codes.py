"""Codes that come with stored numbers, by the conventions of CF and netCDF, as xarray and others write them: numbers
are packed (scale_factor, add_offset, _Unsigned), and some are no numbers (_FillValue, missing_value, valid_range).

Packed numbers are unpacked as they are read; one that stands for a missing number is refused, by its place, or is NaN
where some may be missing.
"""

import struct
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dnmf.matrix.missing import SAY_SO, as_nan
from dnmf.matrix.strips import Dtype, Numbers

# What an unpacked number that should be 0 may be off by, in roundings of the offset.
ROUNDINGS = 4


@dataclass(frozen=True, slots=True)
class Codes:
    """How stored numbers are to be read.

    Attributes
    ----------
    seen : dtype that the bytes of a stored number are to be seen in.
    dtype : of unpacked numbers.
    scale, offset : what a number is multiplied by, and what is added then.
    missing : numbers, as stored, that stand for missing ones, each with the attribute that says so.
    valid : least and greatest number that there may be.
    in_units : whether these two are unpacked numbers.
    """

    seen: Dtype
    dtype: Dtype
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[tuple[float, str], ...] = ()
    valid: tuple[float, float] = (-np.inf, np.inf)
    in_units: bool = False

    @classmethod
    def of(cls, attributes: Mapping[str, Any], dtype: Dtype, where: str) -> Self | None:
        """The codes in the attributes of an array; None where they change nothing.

        Raises
        ------
        ValueError
            If one of them is no number, or a scale of 0.
        """
        if dtype.kind not in "iuf":
            return None
        seen = _seen(dtype, attributes.get("_Unsigned"))
        scale, offset = (_one(attributes, name, where) for name in ("scale_factor", "add_offset"))
        if scale == 0:
            raise ValueError(f"{where} has a scale_factor of 0, which leaves no numbers: mend the attribute")
        valid = _valid(attributes, where)
        found = cls(
            seen,
            _unpacked(seen, scale, offset),
            1.0 if scale is None else float(scale),
            0.0 if offset is None else float(offset),
            _missing(attributes, where),
            (float(valid[0]), float(valid[1])),
            in_units=seen.kind in "iu" and any(isinstance(each, float) and np.isfinite(each) for each in valid),
        )
        return None if found == cls(dtype, dtype) else found

    @property
    def packed(self) -> bool:
        """Whether numbers are scaled or shifted."""
        return (self.scale, self.offset) != (1.0, 0.0)

    def unpack(self, x: Numbers, *, axis: int, first: int, check: bool, to: Dtype | None = None) -> Numbers:
        """Whole rows (axis 0) or columns (axis 1) of X from number `first` on, unpacked.

        Where a dtype is given, they are in it, and NaN in the place of missing ones; else these are refused.

        Raises
        ------
        ValueError
            If a number stands for a missing one, or is outside of the valid range: names its row and column.
        """
        x = x.view(self.seen)
        y = x
        if self.packed:
            y = x.astype(self.dtype)
            y *= self.scale
            y += self.offset
            if self.offset:
                # What was 0 before it was packed may come out a rounding below it.
                y[(y < 0) & (y >= -ROUNDINGS * np.finfo(self.dtype).eps * abs(self.offset))] = 0
        if to is not None:
            lacking = np.logical_or.reduce([bad for bad, _, _ in self._no_numbers(x, y)] or [np.zeros(x.shape, "?")])
            return as_nan(y, lacking, to)
        if check:
            for bad, shown, what in self._no_numbers(x, y):
                _refuse(bad, shown, axis, first, what)
        return y

    def _no_numbers(self, x: Numbers, y: Numbers) -> Iterator[tuple[NDArray[np.bool_], Numbers, str]]:
        """Where numbers x, unpacked y, stand for missing ones: as they are to be shown, and what they are."""
        for value, name in self.missing:
            yield x == _cast(value, self.seen), x, f"its {name}, which stands for a missing number"
        least, most = self.valid
        if np.isfinite((least, most)).any():
            shown = y if self.in_units else x
            yield (shown < least) | (shown > most), shown, f"outside of its valid range, {least:g} to {most:g}"


def _refuse(bad: NDArray[np.bool_], shown: Numbers, axis: int, first: int, what: str) -> None:
    if bad.any():
        place = np.argwhere(bad)[0]
        row, column = (int(i) for i in place + ([first, 0] if axis == 0 else [0, first]))
        raise ValueError(
            f"X[{row}, {column}] is stored as {shown[tuple(place)]}, {what}: every entry must be a number; fill what "
            f"is missing, or leave its rows or columns out, and write X again; or, {SAY_SO}"
        )


def _seen(dtype: Dtype, unsigned: object) -> Dtype:
    """The dtype of integers whose sign `_Unsigned` changes."""
    kind = {"true": "u", "false": "i"}.get(str(unsigned).lower(), dtype.kind)
    return np.dtype(f"{dtype.byteorder}{kind}{dtype.itemsize}") if dtype.kind in "iu" else dtype


def _unpacked(seen: Dtype, scale: object, offset: object) -> Dtype:
    """The dtype of unpacked numbers: float32 where a rounding there is far below a step of the packed ones."""
    if scale in (None, 1) and offset in (None, 0):
        return seen
    small = not offset and seen.itemsize <= (2 if seen.kind in "iu" else 4)
    return np.dtype("f4" if small else "f8")


def _missing(attributes: Mapping[str, Any], where: str) -> tuple[tuple[float, str], ...]:
    """Numbers that stand for missing ones, NaN aside, each with the attribute that says so."""
    named = ((each, name) for name in ("_FillValue", "missing_value") for each in _all(attributes, name, where))
    return tuple((each, name) for each, name in named if not np.isnan(each))


def _valid(attributes: Mapping[str, Any], where: str) -> tuple[float, float]:
    """The least and the greatest number that there may be."""
    if bounds := _all(attributes, "valid_range", where):
        if len(bounds) != 2:
            raise ValueError(f"{where} has a valid_range of {len(bounds)} numbers: two are needed; mend the attribute")
        return bounds[0], bounds[1]
    least, most = (_one(attributes, name, where) for name in ("valid_min", "valid_max"))
    return -np.inf if least is None else least, np.inf if most is None else most


def _one(attributes: Mapping[str, Any], name: str, where: str) -> float | None:
    found = _all(attributes, name, where)
    if len(found) > 1:
        raise ValueError(f"{where} has {len(found)} numbers as {name}: one is required; mend the attribute")
    return found[0] if found else None


def _all(attributes: Mapping[str, Any], name: str, where: str) -> list[float]:
    """The numbers that an attribute holds: none where it is not there."""
    value = attributes.get(name)
    if value is None:
        return []
    try:
        # xarray writes real numbers to Zarr format 3 as the bytes of a double.
        found = np.asarray(struct.unpack("<d", b64decode(value, validate=True)) if isinstance(value, str) else value)
        return [each if isinstance(each, int) else float(each) for each in found.ravel().tolist()]
    except (ValueError, TypeError, struct.error):
        raise ValueError(f"{where} has {name} {value!r}, which is no number: mend the attribute") from None


def _cast(value: float, dtype: Dtype) -> Any:
    """A number as it is stored, which for integers of another sign is another one."""
    if dtype.kind == "f":
        return np.asarray(value).astype(dtype)
    return np.asarray(int(value)).astype(dtype) if float(value).is_integer() else value
