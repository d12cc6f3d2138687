"""Matrices in HDF5 as 10x Genomics, loom, Seurat, MATLAB and older AnnData write them, with their names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import zarr

from dnmf.formats.convert import convert, describe

S = scipy.sparse.csr_array(np.array([[0.0, 2, 0, 3], [1, 0, 0, 0], [0, 4, 5, 0]]))
COLUMNS = S.tocsc()
FEATURES, CELLS = ["a", "a (ENSG2)", "c"], ["w", "x", "y", "z"]


def vectors(group: Any, sparse: Any, names: tuple[str, str, str] = ("data", "indices", "indptr"), **more: Any) -> Any:
    """Write the vectors of a sparse matrix, and more, to a group."""
    group.update(dict(zip(names, (sparse.data, sparse.indices, sparse.indptr), strict=True)) | more)
    return group


def tenx3(file: Any) -> None:
    features = vectors(file.create_group("matrix"), COLUMNS, shape=[3, 4], barcodes=np.bytes_(CELLS)).create_group(
        "features"
    )
    features.update({"id": np.bytes_(["ENSG1", "ENSG2", "ENSG3"]), "name": np.bytes_(["b", "a", "a"])})


def tenx2(file: Any) -> None:
    ids, names = np.bytes_(["ENSG1", "ENSG2", "ENSG3"]), np.bytes_(["a", "b", "c"])
    vectors(file.create_group("hg19"), COLUMNS, shape=[3, 4], barcodes=np.bytes_(CELLS), genes=ids, gene_names=names)


def loom(file: Any) -> None:
    file["matrix"] = S.toarray()
    file["row_attrs/Gene"], file["col_attrs/CellID"] = np.bytes_(["a", "b", "c"]), np.bytes_(CELLS)


def seurat(file: Any) -> None:
    vectors(file.create_group("assays/RNA/counts"), COLUMNS).attrs["dims"] = [3, 4]
    file["assays/RNA/features"], file["cell.names"] = ["a", "b", "c"], CELLS


def matlab_sparse(file: Any) -> None:
    group = vectors(file.create_group("S"), COLUMNS, ("data", "ir", "jc"))
    group.attrs.update({"MATLAB_sparse": np.uint64(3), "MATLAB_class": np.bytes_("double")})


def matlab_zeros(file: Any) -> None:
    group = file.create_group("S")
    group["jc"] = np.zeros(5, "u8")
    group.attrs.update({"MATLAB_sparse": np.uint64(3), "MATLAB_class": np.bytes_("double")})


def matlab_dense(file: Any) -> None:
    file["X"], file["title"] = S.toarray().T, np.zeros((1, 5), "u2")
    file["X"].attrs["MATLAB_class"], file["title"].attrs["MATLAB_class"] = np.bytes_("double"), np.bytes_("char")


def old_anndata(file: Any) -> None:
    marks = vectors(file.create_group("X"), S).attrs
    marks.update({"h5sparse_format": b"csr", "h5sparse_shape": S.shape})
    file["obs"] = np.array([(b"r", 1), (b"s", 2), (b"t", 3)], [("index", "S1"), ("n", "i4")])
    file["var"] = np.array([(b"w",), (b"x",), (b"y",), (b"z",)], [("index", "S1")])


# A file's suffix, what writes it, the matrix, the names of rows and columns, and what is said.
FILES: dict[str, tuple[str, Callable[[Any], None], Any, Any, Any, str]] = {
    "10x, v3": (".h5", tenx3, S, ["b", "a (ENSG2)", "a (ENSG3)"], CELLS, "; 10x Genomics: rows are features, columns"),
    "10x, v2": (".h5", tenx2, S, ["a", "b", "c"], CELLS, "; 10x Genomics: rows are features, columns are barcodes"),
    "loom": (".loom", loom, S, ["a", "b", "c"], CELLS, "; loom: rows are genes, columns are cells; --transpose turns"),
    "Seurat": (".h5seurat", seurat, S, ["a", "b", "c"], CELLS, "; Seurat: rows are features, columns are cells"),
    "MATLAB, sparse": (".mat", matlab_sparse, S, None, None, "3 × 4 float64, 5 non-zeros in csc; MATLAB 7.3"),
    "MATLAB, zeros": (".mat", matlab_zeros, 0 * S, None, None, "0 non-zeros"),
    "MATLAB, dense": (".mat", matlab_dense, S, None, None, "3 × 4 float64"),
    "AnnData 0.6": (".h5ad", old_anndata, S, ["r", "s", "t"], CELLS, "5 non-zeros in csr"),
}


def entries(made: Any) -> Any:
    """What `convert` made, dense in memory."""
    if isinstance(made, zarr.Array):
        return made[:]
    kind = {"csr_matrix": scipy.sparse.csr_array, "csc_matrix": scipy.sparse.csc_array}[made.attrs["encoding-type"]]
    return kind(tuple(made[name][:] for name in ("data", "indices", "indptr")), shape=made.attrs["shape"]).toarray()


def names(path: Path, axis: str) -> list[str] | None:
    """Names beside X, None where there are none."""
    try:
        return [str(name) for name in zarr.open_array(path / "labels" / axis, mode="r")[:]]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("case", FILES)
def test_files_of_other_programs_are_read_with_their_names(tmp_path: Path, case: str, transpose: bool) -> None:
    suffix, write, X, rows, columns, said = FILES[case]
    with h5py.File(tmp_path / f"x{suffix}", "w") as file:
        write(file)
    made = convert(tmp_path / f"x{suffix}", tmp_path / "x.zarr", transpose=transpose)
    np.testing.assert_array_equal(entries(made), X.T.toarray() if transpose else X.toarray())
    found = [names(tmp_path / "x.zarr", axis) for axis in ("rows", "columns")]
    assert found == ([columns, rows] if transpose else [rows, columns])
    assert transpose or said in describe(made)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"x{suffix}", "x.zarr"]


def test_names_of_anndata_and_of_its_layers_go_with_it(tmp_path: Path) -> None:
    X = anndata.AnnData(S, obs=pd.DataFrame(index=["r", "s", "t"]), var=pd.DataFrame(index=CELLS), layers={"l": 2 * S})
    X.write_h5ad(tmp_path / "x.h5ad")
    for dataset in (None, "layers/l"):
        convert(tmp_path / "x.h5ad", tmp_path / "x.zarr", dataset=dataset, overwrite=True)
        assert (names(tmp_path / "x.zarr", "rows"), names(tmp_path / "x.zarr", "columns")) == (["r", "s", "t"], CELLS)


def test_what_says_how_numbers_are_meant_goes_with_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones((3, 4), "i2")
        file["x"].attrs.update({"scale_factor": np.float32(0.5), "_FillValue": np.array([-1], "i2"), "title": "x"})
        file["x"].attrs.update({"_Unsigned": np.bytes_("true"), "valid_range": np.array([0, 9], "i2")})
    made = convert(tmp_path / "x.h5", tmp_path / "x.zarr")
    said = {"scale_factor": 0.5, "_FillValue": -1, "_Unsigned": "true", "valid_range": [0, 9]}
    assert dict(made.attrs) == said


def test_a_missing_filter_is_named_with_the_package_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=np.ones((3, 4)), chunks=(3, 4), compression="lzf")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    with pytest.raises(
        ImportError, match=r"x.h5: /x is compressed with HDF5's filter 32000 \(LZF\), which is missing here: pip"
    ):
        convert(tmp_path / "x.h5", tmp_path / "x.zarr")


def test_what_is_older_than_matlab_7_3_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(ValueError, match=r"x.mat is older than MATLAB 7.3, which is HDF5: save it with -v7.3, or X of"):
        convert(tmp_path / "x.mat", tmp_path / "x.zarr")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = np.ones((100, 100))
    (tmp_path / "x.h5").write_bytes((tmp_path / "x.h5").read_bytes()[:3000])
    with pytest.raises(
        ValueError, match=r"x.h5 cannot be opened as HDF5 .*: a whole file, closed by whoever wrote it, is"
    ):
        convert(tmp_path / "x.h5", tmp_path / "x.zarr")
