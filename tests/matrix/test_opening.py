"""X is found wherever it is: in Zarr groups, in AnnData on disk, lazy or in memory, and in files by other programs."""

import shutil

import anndata
import numpy as np
import pytest
import zarr
from anndata.experimental import read_lazy
from anndata_stores import written_by_anndata
from kinds import kind_of
from numpy.testing import assert_array_equal
from scipy import sparse

from dnmf.formats.convert import convert
from dnmf.matrix.opening import open_matrix, tell_missing

SHAPE = (60, 25)


def matrix(kind="csr", factor=1):
    x = sparse.random(*SHAPE, 0.2, format="csr", dtype="f4", random_state=0) * factor
    return x.toarray() if kind == "dense" else x.asformat(kind)


def table(kind="csr", **more):
    """AnnData with a layer of twice as large numbers."""
    return anndata.AnnData(X=matrix(kind), layers={"counts": matrix(kind, 2)}, **more)


@pytest.fixture(scope="module", params=[(kind, version) for kind in ("csr", "csc", "dense") for version in (2, 3)])
def on_disk(request, tmp_path_factory):
    """The kind of X, and AnnData in Zarr, which tests leave as it is."""
    kind, version = request.param
    path = tmp_path_factory.mktemp("anndata") / "a.zarr"
    with written_by_anndata(version):
        table(kind).write_zarr(path)
    return kind, path


def whole(opened):
    """All of X, from one strip."""
    y = opened.strips(axis := opened.grid.axes[0], check=True)[:, :]
    y = y.toarray() if opened.sparse else y
    return y if axis == 0 else y.T


def test_anndata_on_disk_opens_by_path_by_member_and_by_layer(on_disk):
    kind, path = on_disk
    for X, layer, member, factor in (
        (path, None, "X", 1),
        (str(path), "counts", "layers/counts", 2),
        (path / "X", None, "X", 1),
        (f"{path}/layers/counts", None, "layers/counts", 2),
        (zarr.open_group(path, mode="r"), None, "X", 1),
        (zarr.open_group(path, mode="r"), "counts", "layers/counts", 2),
        (zarr.open(path / "X", mode="r"), None, "X", 1),
        (zarr.open_group(path, mode="r")["layers/counts"], None, "layers/counts", 2),
    ):
        opened = open_matrix(X, layer=layer)
        assert kind_of(opened) == ("stored", "dense" if kind == "dense" else "sparse")
        assert opened.location == f"{path}/{member}"
        assert opened.array.read_only
        assert_array_equal(whole(opened), matrix("dense", factor))


def test_what_anndata_and_we_write_has_one_fingerprint_by_any_name(on_disk):
    _, path = on_disk
    prints = {open_matrix(X).fingerprint for X in (path, path / "X", zarr.open_group(path, mode="r")["X"])}
    assert len(prints) == 1
    assert open_matrix(path, layer="counts").location != open_matrix(path).location


@pytest.mark.parametrize("kind", ["csr", "csc", "dense"])
def test_anndata_in_memory_opens(kind):
    opened = open_matrix(table(kind))
    assert kind_of(opened) == ("memory", "dense" if kind == "dense" else "sparse")
    assert_array_equal(whole(opened), matrix("dense"))
    assert_array_equal(whole(open_matrix(table(kind), layer="counts")), matrix("dense", 2))


def test_lazy_anndata_opens_as_dask_arrays(on_disk):
    kind, path = on_disk
    with written_by_anndata():
        lazy = read_lazy(path)
    for layer, factor in ((None, 1), ("counts", 2)):
        opened = open_matrix(lazy, layer=layer)
        assert (kind_of(opened)[0], opened.sparse, opened.location) == ("lazy", kind != "dense", "a Dask array")
        with written_by_anndata():
            y = opened.strips(0, check=True)[:, :]
        assert_array_equal(y if kind == "dense" else y.toarray(), matrix("dense", factor))


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_a_backed_matrix_of_anndata_opens_as_its_group(kind, tmp_path):
    with written_by_anndata():
        table(kind).write_zarr(tmp_path / "a.zarr")
        backed = anndata.io.sparse_dataset(zarr.open_group(tmp_path / "a.zarr", mode="r")["X"])
        holder = anndata.AnnData(X=backed)
    for X in (backed, holder):
        opened = open_matrix(X)
        assert (kind_of(opened), opened.location) == (("stored", "sparse"), f"{tmp_path}/a.zarr/X")
        assert_array_equal(whole(opened), matrix("dense"))


def test_dense_anndata_backed_by_hdf5_is_streamed(tmp_path):
    table("dense").write_h5ad(tmp_path / "a.h5ad")
    opened = open_matrix(anndata.read_h5ad(tmp_path / "a.h5ad", backed="r"))
    assert opened.location == f"an HDF5 dataset (/X of {tmp_path}/a.h5ad)"
    assert_array_equal(whole(opened), matrix("dense"))


def test_sparse_anndata_backed_by_hdf5_is_refused_and_converts(tmp_path):
    table("csr").write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    for X in (backed, backed.X):
        with pytest.raises(TypeError) as refused:
            open_matrix(X)
        assert str(refused.value) == (
            "X is a sparse matrix in an HDF5 file, which is not read strip by strip: make Zarr of it, `dnmf convert "
            "X.h5ad X.zarr`"
        )
    convert(tmp_path / "a.h5ad", tmp_path / "x.zarr")
    assert_array_equal(whole(open_matrix(tmp_path / "x.zarr")), matrix("dense"))


def test_a_missing_layer_is_refused_and_those_there_are_named(tmp_path):
    with written_by_anndata():
        table().write_zarr(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="without layers/raw") as refused:
        open_matrix(tmp_path / "a.zarr", layer="raw")
    assert str(refused.value) == f"{tmp_path}/a.zarr is AnnData without layers/raw: its layers are counts"
    with pytest.raises(ValueError, match="no layer 'raw'") as refused:
        open_matrix(table(), layer="raw")
    assert str(refused.value) == "the AnnData object has no layer 'raw': it has counts"


def test_anndata_without_x_is_refused(tmp_path):
    empty = anndata.AnnData(layers={"counts": matrix()})
    with pytest.raises(ValueError, match="has no X") as refused:
        open_matrix(empty)
    assert str(refused.value) == "the AnnData object has no X: name one of its layers (counts) with layer="
    with written_by_anndata():
        empty.write_zarr(tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr" / "X", ignore_errors=True)
    with pytest.raises(ValueError, match="is AnnData without X: its layers are counts"):
        open_matrix(tmp_path / "a.zarr")


def test_a_layer_is_for_anndata_only(tmp_path):
    array = zarr.create_array(str(tmp_path / "x.zarr"), shape=(2, 2), dtype="f4", chunks=(2, 2))
    with written_by_anndata():
        table().write_zarr(tmp_path / "a.zarr")
    for X, where in (
        (str(tmp_path / "x.zarr"), f"{tmp_path}/x.zarr"),
        (array, f"{tmp_path}/x.zarr"),
        (tmp_path / "a.zarr" / "X", f"{tmp_path}/a.zarr/X"),
        (np.eye(2), "an array in memory"),
        (sparse.eye(2, format="csr"), "an array in memory"),
    ):
        with pytest.raises(ValueError, match="is for AnnData") as refused:
            open_matrix(X, layer="counts")
        assert str(refused.value) == f"layer='counts' is for AnnData, and X is {where}: leave it out"


def test_a_group_of_matrices_is_refused_and_they_are_named(tmp_path):
    with written_by_anndata():
        table().write_zarr(tmp_path / "a.zarr")
    for X in (tmp_path / "a.zarr" / "layers", zarr.open_group(tmp_path / "a.zarr", mode="r")["layers"]):
        with pytest.raises(ValueError, match="is a Zarr group, not an array") as refused:
            open_matrix(X)
        assert str(refused.value).endswith(f"name one of its matrices ({tmp_path}/a.zarr/layers/counts)")


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("store", ["disk", "memory"])
def test_consolidated_metadata_that_are_older_than_the_array_do_not_cut_it_off(store, tmp_path):
    place = str(tmp_path / "x.zarr") if store == "disk" else {}
    group = zarr.create_group(place)
    group.create_array("x", data=matrix("dense"), chunks=(20, 25))
    old = zarr.consolidate_metadata(group.store)
    grown = zarr.open_array(group.store, path="x", mode="r+")
    grown.append(matrix("dense", 2))
    assert old["x"].shape == SHAPE
    opened = open_matrix(old["x"])
    assert opened.grid.shape == (120, 25)
    assert_array_equal(whole(opened)[60:], matrix("dense", 2))


def test_a_layer_that_consolidated_metadata_do_not_know_yet_is_found(tmp_path):
    with written_by_anndata():
        table("dense").write_zarr(tmp_path / "a.zarr")
    zarr.open_group(tmp_path / "a.zarr", mode="r+", use_consolidated=False)["layers"].create_array(
        "new", data=matrix("dense", 3)
    )
    assert_array_equal(whole(open_matrix(tmp_path / "a.zarr", layer="new")), matrix("dense", 3))


def test_names_of_anndata_come_with_its_matrices(on_disk):
    _, path = on_disk
    rows, columns = table().obs_names.tolist(), table().var_names.tolist()
    for X in (table(), path, path / "layers" / "counts", zarr.open_group(path, mode="r")["X"]):
        labels = open_matrix(X).labels
        assert (labels.rows.tolist(), labels.columns.tolist()) == (rows, columns)
    assert open_matrix(matrix()).labels.columns is None


def half(path, **more):
    """X of which the last chunk was never written."""
    x = matrix("dense") + 1
    array = zarr.create_array(str(path), shape=SHAPE, chunks=(20, 25), dtype="f4", **more)
    array[:40] = x[:40]
    return str(path)


def test_missing_chunks_are_told_in_one_line(tmp_path):
    path = half(tmp_path / "x.zarr")
    said = (
        f"{path} lacks 1 of 3 chunks (the first is {path}/c/2/0): they are missing or were never written, and are read "
        f"as 0.0; --strict (strict=True) refuses them"
    )
    with pytest.warns(UserWarning, match="lacks 1 of 3 chunks") as told:
        tell_missing(open_matrix(path))
    assert [str(each.message) for each in told] == [said]
    zarr.open_array(path, mode="r+")[40:] = 1
    tell_missing(open_matrix(path))
    tell_missing(open_matrix(matrix()))


def test_x_without_any_chunk_is_refused(tmp_path):
    path = str(tmp_path / "x.zarr")
    zarr.create_array(path, shape=SHAPE, chunks=(20, 25), dtype="f4")
    with pytest.raises(FileNotFoundError, match="lacks all of its 3 chunks") as refused:
        tell_missing(open_matrix(path))
    assert str(refused.value) == (
        f"{path} lacks all of its 3 chunks (the first is {path}/c/0/0): nothing was written to it, or it was lost; "
        f"write X again"
    )
