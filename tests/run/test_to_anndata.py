"""Results written into AnnData: what AnnData's own reader then finds, and what is refused."""

import warnings
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from pairwise import few
from scipy import sparse

import dnmf
from dnmf.run.components import describe
from dnmf.run.to_anndata import write_back


def written(path: Path, *, rows: int = 60, zarr_format: int = 3) -> Path:
    """AnnData in Zarr, as AnnData writes it: sparse X and a layer."""
    rng = np.random.default_rng(0)
    X = (rng.random((rows, 3)) @ rng.random((3, 20)) * (rng.random((rows, 20)) < 0.4)).astype("f4")
    adata = anndata.AnnData(sparse.csr_matrix(X))
    adata.layers["counts"] = sparse.csc_matrix(np.floor(10 * X))
    with anndata.settings.override(zarr_write_format=zarr_format, auto_shard_zarr_v3=False), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # AnnData's own, of formats to come
        adata.write_zarr(path)
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("layer", few([None, "counts"], 1))
def test_anndata_finds_the_factors(tmp_path: Path, layer: str | None, zarr_format: int) -> None:
    store = written(tmp_path / "adata.zarr", zarr_format=zarr_format)
    result = dnmf.factorize(store, 3, layer=layer, max_iter=3, tol=0)
    write_back(result, store)
    adata = anndata.read_zarr(store)
    np.testing.assert_array_equal(adata.obsm["X_nmf"], np.asarray(result.W))
    np.testing.assert_array_equal(adata.varm["NMF"], result.V.T)
    assert adata.X.shape == (60, 20)
    told, found = describe(result), adata.uns["nmf"]
    assert set(found) == {"share", "mass", "alone", "sparseness_V", "sparseness_W", "features", "specificity"}
    for name in ("share", "mass", "alone", "sparseness_V", "sparseness_W"):
        np.testing.assert_array_equal(found[name][told.number - 1], getattr(told, name))
    for number, features, scores in zip(told.number, told.named_features, told.scores, strict=True):
        assert [name for name in found["features"][number - 1] if name] == list(features)
        np.testing.assert_array_equal(found["specificity"][number - 1][: len(scores)], scores)


def test_a_layer_is_what_was_factorized(tmp_path: Path) -> None:
    store = written(tmp_path / "adata.zarr")
    whole = anndata.read_zarr(store)
    for layer, X in ((None, whole.X), ("counts", whole.layers["counts"])):
        loss = dnmf.factorize(store, 3, layer=layer, max_iter=2, tol=0).loss
        np.testing.assert_allclose(loss, dnmf.factorize(X, 3, max_iter=2, tol=0).loss, rtol=1e-6)


def test_what_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    store = written(tmp_path / "adata.zarr")
    first, second = (dnmf.factorize(store, 3, seed=seed, max_iter=2, tol=0) for seed in (0, 1))
    write_back(first, store)
    with pytest.raises(FileExistsError, match=r"has obsm/X_nmf: choose another name, or overwrite it"):
        write_back(second, store)
    np.testing.assert_array_equal(anndata.read_zarr(store).varm["NMF"], first.V.T)
    write_back(second, store, obsm="other", varm="other", uns="other")
    write_back(second, store, overwrite=True)
    adata: Any = anndata.read_zarr(store)
    for name in ("NMF", "other"):
        np.testing.assert_array_equal(adata.varm[name], second.V.T)
    np.testing.assert_array_equal(adata.uns["nmf"]["mass"], adata.uns["other"]["mass"])


def test_it_says_what_does_not_fit(tmp_path: Path) -> None:
    store, other = written(tmp_path / "adata.zarr"), written(tmp_path / "other.zarr", rows=40)
    result = dnmf.factorize(store, 3, max_iter=2, tol=0)
    with pytest.raises(ValueError, match="has 40 rows in obs, and X_nmf would have 60"):
        write_back(result, other)
    with pytest.raises(FileNotFoundError, match="there is no Zarr group at"):
        write_back(result, tmp_path / "nothing.zarr")
    with pytest.raises(ValueError, match="is not AnnData in Zarr"):
        write_back(result, store / "obsm")
    with pytest.raises(ValueError, match="keep_W"):
        write_back(dnmf.factorize(store, 3, max_iter=2, tol=0, keep_W=False), store)
    assert "X_nmf" not in anndata.read_zarr(store).obsm
