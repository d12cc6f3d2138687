"""A sample that a run keeps comes back as it was, or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.testing import assert_array_equal
from scipy import sparse

from dnmf.arrays.observed import Observed
from dnmf.arrays.sample import ColumnSums, Sample
from dnmf.arrays.weighted import Weighted
from dnmf.run import kept_sample
from dnmf.run.kept_sample import StoredSample, has_sample, read_sample, read_totals, write_sample


def stored(kind: str = "dense", axis: int = 1) -> StoredSample:
    rng = np.random.default_rng(0)
    rows: Any = rng.random((4, 5)).astype("f4")
    rows = sparse.csr_matrix(rows) if kind == "sparse" else rows
    columns = ColumnSums(rng.random(5), rng.random(5)) if axis == 0 else None
    sample = Sample(rows, np.arange(4), rng.random(4), rng.random(4), norm=2.5, total=3.5, beta=1.0, columns=columns)
    return StoredSample(sample, axis, 3, 200, np.arange(3, dtype="u8"))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_it_comes_back_as_it_was(group: zarr.Group, kind: str) -> None:
    assert not has_sample(group)
    one = stored(kind)
    write_sample(group, one)
    write_sample(group, one)
    other = read_sample(group)
    assert (other.axis, other.size, other.bytes_read) == (1, 3, 200)
    assert_array_equal(other.checksums, one.checksums)
    assert (other.sample.norm, other.sample.total, other.sample.beta) == (2.5, 3.5, 1.0)
    for name in ("index", "keys", "sizes"):
        assert_array_equal(getattr(other.sample, name), getattr(one.sample, name))
    assert sparse.issparse(other.sample.rows) == (kind == "sparse")
    assert_array_equal(np.asarray(other.sample.rows @ np.eye(5)), np.asarray(one.sample.rows @ np.eye(5)))


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("exponent", [0, 3])
def test_rows_with_weights_come_back_to_the_last_bit(group: zarr.Group, kind: str, mask: bool, exponent: int) -> None:
    one, rng = stored(kind, axis=0), np.random.default_rng(1)
    values: Any = one.sample.rows
    omega = rng.random((4, 5)).astype("f4") * (rng.random((4, 5)) < 0.6)
    weights: Any = omega > 0 if mask else omega
    if kind == "sparse":
        # A stored 0 is a value.
        values.data[7] = 0
        weights = np.ones(values.nnz, bool) if mask else rng.random(values.nnz).astype("f4")
    else:
        values = np.where(omega > 0, values, 0)
    columns = ColumnSums(rng.random(5), rng.random(5), rng.random(5))
    observed = Observed(12, np.array([3, 0, 2, 4, 3]), 7, (3, 9))
    sample = replace(one.sample, rows=Weighted(values, weights), columns=columns)
    write_sample(group, replace(one, sample=sample, observed=observed).scaled(exponent))
    found = read_sample(group)
    rows = found.scaled(0).sample.rows
    assert isinstance(rows, Weighted)
    assert (rows.sparse, rows.masked, rows.dtype) == (kind == "sparse", mask, np.dtype("f4"))
    assert_array_equal(rows.weights, weights)
    assert rows.weights.dtype == weights.dtype
    if kind == "sparse":
        assert rows.values.nnz == values.nnz
        values, rows = values.toarray(), rows.with_values(rows.values.toarray())
    assert_array_equal(rows.values, values)
    assert found.observed is not None
    assert (found.observed.entries, found.observed.empty, found.observed.first) == (12, 7, (3, 9))
    assert_array_equal(found.observed.columns, observed.columns)
    for kept in (found.sample.columns, read_totals(group, 5).columns):
        assert kept is not None
        assert_array_equal(kept.weights, columns.weights)


def test_a_sample_without_weights_says_nothing_of_any(group: zarr.Group) -> None:
    write_sample(group, stored(axis=0))
    assert "observed" not in dict(group["sample"].attrs)
    assert not {"row_weights", "column_weights", "column_observed"} & set(dict(group["sample"].members()))


def test_sums_by_column_come_back_with_and_without_the_rows_and_belong_to_x_times_a_power(group: zarr.Group) -> None:
    one = stored(axis=0).scaled(3)
    write_sample(group, one)
    assert one.sample.columns is not None
    for found in (read_sample(group).sample.columns, read_totals(group, 5).columns):
        assert found is not None
        assert_array_equal([found.sums, found.squares], [one.sample.columns.sums, one.sample.columns.squares])
    before = stored(axis=0).sample.columns
    assert before is not None
    assert_array_equal([found.sums, found.squares], [8 * before.sums, 64 * before.squares])
    assert (read_totals(group, 5).total, read_totals(group, 5).exponent) == (28.0, 3)
    with pytest.raises(ValueError, match=r"column_sums has shape \(5,\) .* shape \(6\) of kind f is required"):
        read_totals(group, 6)
    write_sample(group, stored(axis=1))
    assert read_sample(group).sample.columns is None
    assert read_totals(group, 5).columns is None


def test_checksums_of_another_kind_are_left_out(group: zarr.Group, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(group, stored())
    monkeypatch.setattr(kept_sample, "CHECKSUMS", "others")
    assert read_sample(group).checksums is None


@pytest.mark.parametrize(
    ("where", "change", "text"),
    [
        (
            "sample",
            {"axis": 7},
            "it has axis 7, and an integer of at least 0 and at most 1 is required; the run is dam",
        ),
        ("sample", {"norm": "much"}, "it has norm 'much', and a finite number is required"),
        ("sample/rows", {"shape": [4]}, r"it has shape \[4\], and two integers is required"),
    ],
)
def test_one_that_dnmf_did_not_write_is_refused(group: zarr.Group, where: str, change: Any, text: str) -> None:
    write_sample(group, stored("sparse"))
    group[where].update_attributes(change)
    with pytest.raises(ValueError, match=f"is no sample that dnmf wrote: {text}"):
        read_sample(group)


def test_one_that_is_not_whole_is_none(out: Path, group: zarr.Group) -> None:
    write_sample(group, stored())
    group["sample"].update_attributes({"whole": False})
    with pytest.raises(ValueError, match="holds no sample: name a run whose first factors came from one"):
        read_sample(group)
