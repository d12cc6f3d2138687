"""Names of rows and columns go with X into the run, its plots, new rows and AnnData; columns are matched by them."""

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray
import zarr
from anndata_stores import written_by_anndata

import dnmf
from dnmf.report.figures import components
from dnmf.run.to_anndata import write_back

ROWS, COLUMNS = [f"c{i}" for i in range(30)], [f"g{i}" for i in range(12)]
ORDER = np.random.default_rng(1).permutation(12)


@pytest.fixture(scope="module")
def entries() -> Any:
    """Of 30 cells and 12 genes, of rank 2."""
    rng = np.random.default_rng(0)
    return scipy.sparse.csr_matrix((rng.random((30, 2)) ** 3 @ rng.random((2, 12)) ** 3).astype("f4"))


@pytest.fixture(scope="module")
def cells(entries: Any) -> anndata.AnnData:
    """AnnData of these entries, with names."""
    return anndata.AnnData(entries, pd.DataFrame(index=ROWS), pd.DataFrame(index=COLUMNS))


@pytest.fixture(scope="module")
def run(cells: anndata.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run on it, on disk."""
    return dnmf.factorize(cells, rank=2, out=tmp_path_factory.mktemp("run") / "run.zarr", seed=0)


def test_a_run_has_the_names_and_xarray_finds_them(entries: Any, run: Any) -> None:
    assert (run.labels.rows.tolist(), run.labels.columns.tolist()) == (ROWS, COLUMNS)
    group = run.named.args[0]
    with xarray.open_zarr(group.store, consolidated=False) as found:
        assert found.V.coords["column"].values.tolist() == COLUMNS
        assert found.W.coords["row"].values.tolist() == ROWS
    unnamed = dnmf.factorize(entries, rank=2, seed=0)
    assert unnamed.labels.rows is unnamed.labels.columns is None
    np.testing.assert_array_equal(unnamed.V, run.V)


def kinds(cells: anndata.AnnData, folder: Path) -> dict[str, Any]:
    """The same X as several kinds of things that have names."""
    frame = cells.to_df()
    frame.to_csv(folder / "x.csv")
    dnmf.convert(folder / "x.csv", folder / "csv.zarr")
    with written_by_anndata():
        cells.write_zarr(folder / "anndata.zarr")
    cells.write_h5ad(folder / "x.h5ad")
    dnmf.convert(folder / "x.h5ad", folder / "sparse.zarr")
    dnmf.convert(folder / "csv.zarr", folder / "again.zarr")
    array = xarray.DataArray(frame.to_numpy(), [("cell", list(frame.index)), ("gene", list(frame.columns))])
    stored = {name: folder / f"{name}.zarr" for name in ("csv", "anndata", "sparse", "again")}
    return {
        "AnnData": cells,
        "DataFrame": frame,
        "DataArray": array,
        **{name: str(path) for name, path in stored.items()},
    }


def test_columns_in_another_order_are_matched_by_name_whatever_x_is(
    cells: anndata.AnnData, run: Any, tmp_path: Path
) -> None:
    W = np.asarray(run.W)
    for kind, other in kinds(cells[:, ORDER].copy(), tmp_path).items():
        np.testing.assert_allclose(np.asarray(dnmf.transform(other, run)), W, atol=1e-3, err_msg=kind)


def test_other_columns_are_refused_by_name(cells: anndata.AnnData, run: Any) -> None:
    other = cells[:, :11].copy()
    with pytest.raises(ValueError, match="X lacks 1 of 12 columns of the model, the first is 'g11'"):
        dnmf.transform(other, run)
    other.var_names = [f"h{i}" for i in range(11)]
    with pytest.raises(ValueError, match="11 of 11 columns of X are none of the model's, the first is 'h0'"):
        dnmf.transform(other, run)


@pytest.mark.parametrize("Estimator", [dnmf.NMF, dnmf.MiniBatchNMF])
def test_estimators_match_columns_by_name(cells: anndata.AnnData, Estimator: Any, tmp_path: Path) -> None:
    model = Estimator(2, random_state=0, max_iter=1000).fit(cells)
    W, other = model.transform(cells), cells[:, ORDER].copy()
    for kind, each in {"AnnData": other, "csv": kinds(other, tmp_path)["csv"]}.items():
        np.testing.assert_allclose(np.asarray(model.transform(each)), W, atol=1e-5, err_msg=kind)
        np.testing.assert_allclose(np.asarray(dnmf.transform(each, model)), W, atol=1e-3, err_msg=kind)
    other.var_names = [f"h{i}" for i in range(12)]
    with pytest.raises(ValueError, match="12 of 12 columns of X are none of the model's, the first is 'h0'"):
        model.transform(other)


def test_new_rows_keep_their_names(cells: anndata.AnnData, run: Any, tmp_path: Path) -> None:
    dnmf.transform(cells[5:9].copy(), run, out=tmp_path / "w.zarr")
    found = [str(name) for name in zarr.open_array(tmp_path / "w.zarr" / "row", mode="r")[:]]
    assert found == ROWS[5:9]


def test_results_go_back_to_the_columns_of_their_names(cells: anndata.AnnData, run: Any, tmp_path: Path) -> None:
    with written_by_anndata():
        cells[:, ORDER].copy().write_zarr(tmp_path / "x.zarr")
        cells[::-1].copy().write_zarr(tmp_path / "turned.zarr")
    write_back(run, tmp_path / "x.zarr")
    found = anndata.read_zarr(tmp_path / "x.zarr")
    np.testing.assert_array_equal(found[:, COLUMNS].varm["NMF"], run.V.T)
    with pytest.raises(ValueError, match=r"row 0 of .* is 'c29' and was 'c0' in the run: the same rows in the same"):
        write_back(run, tmp_path / "turned.zarr")


def test_the_largest_entries_of_components_are_named_in_plots(run: Any) -> None:
    titles = [axes.get_title() for axes in components(run).axes]
    top = [", ".join(f"g{j}" for j in np.argsort(-row)[:3]) for row in run.V]
    assert titles == [f"1: {top[0]}", f"2: {top[1]}"]


def test_names_may_be_empty(entries: Any) -> None:
    frame = pd.DataFrame(entries.toarray(), index=[""] * 30, columns=["", *COLUMNS[1:]])
    labels = dnmf.factorize(frame, rank=2, max_iter=1).labels
    assert (labels.rows.tolist(), labels.columns.tolist()) == ([""] * 30, ["", *COLUMNS[1:]])


def test_names_that_are_older_than_x_are_refused(cells: anndata.AnnData, tmp_path: Path) -> None:
    with written_by_anndata():
        cells.write_zarr(tmp_path / "x.zarr")
    index: Any = zarr.open_group(tmp_path / "x.zarr")["obs/_index"]
    index.resize((29,))
    with pytest.raises(ValueError, match="has 30 rows and beside it are 29 names of rows: one for each is required"):
        dnmf.factorize(tmp_path / "x.zarr", rank=2)
