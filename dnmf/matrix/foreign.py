"""Objects of other libraries as what X may be: tables, DataArrays, masked arrays, HDF5, whatever NumPy takes.

No library is imported here: an object is one of a library's only where that is loaded already. What is no matrix is
named by its type, with what to give instead.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from typing import Any

import numpy as np

from dnmf.arrays.rows import is_sparse
from dnmf.matrix.codes import Codes
from dnmf.matrix.in_file import DataArrayInFile, Hdf5Array
from dnmf.matrix.labels import Labels, Names
from dnmf.matrix.names import names_of_columns, names_of_data_array, names_of_frame
from dnmf.matrix.strips import Numbers

# Where X is that is in no store, see `is_given`.
IN_MEMORY, DASK, HDF5, DATA_ARRAY = "an array in memory", "a Dask array", "an HDF5 dataset", "an xarray DataArray"

# Tables of pyarrow.
ARROW = ("Table", "RecordBatch")


@dataclass(frozen=True, slots=True)
class Found:
    """X: a `zarr.Array`, a `zarr.Group` of a sparse matrix, a Dask or NumPy array, a scipy.sparse matrix, an array in a
    file; where it is, for people; and what gives its labels.
    """

    array: Any
    location: str
    named: Callable[[], Labels] = Labels


def is_given(location: str) -> bool:
    """Whether X was an object that no other process finds, from where it was.

    >>> is_given("an array in memory"), is_given("/data/X.zarr")
    (True, False)
    """
    return location.startswith((IN_MEMORY, DASK, HDF5, DATA_ARRAY))


def is_a(X: object, library: str, *names: str) -> bool:
    """Whether X is an object of a class that a library has, if anybody has loaded it."""
    module = sys.modules.get(library)
    kinds = (getattr(module, name, None) for name in names)
    return any(isinstance(kind, type) and isinstance(X, kind) for kind in kinds)


def take(X: Any) -> Found:
    """What X is, if it is in no store that Zarr opens.

    Raises
    ------
    TypeError, ValueError
        If it is nothing that X may be: names its type, and what to give.
    """
    if is_sparse(X):
        return Found(X, IN_MEMORY)
    if has_masked_rows(X):
        return _of_masked(np.ma.array(X))
    for library, names, taken in TAKEN:
        if is_a(X, library, *names):
            return taken(X)
    for library, names, remedy in REFUSED:
        if is_a(X, library, *names):
            raise TypeError(f"X is of type {_type(X)}, which is no matrix: {remedy}")
    if hasattr(X, "__dask_graph__"):
        return _of_dask(X)
    return Found(_numbers(X), IN_MEMORY)


def has_masked_rows(X: object) -> bool:
    """Whether X is a list of rows of which some are masked arrays, whose masks NumPy would drop."""
    return isinstance(X, list | tuple) and any(isinstance(row, np.ma.MaskedArray) for row in X)


def columns_of(X: Any) -> Names | None:
    """The names of the columns of a table or a DataArray; None of anything else."""
    if is_a(X, "xarray", "DataArray"):
        return names_of_data_array(X).columns
    arrow = is_a(X, "pyarrow", *ARROW)
    columns = X.column_names if arrow else getattr(X, "columns", None)
    return None if columns is None else names_of_columns(columns).columns


def factor_of(name: str, X: Any) -> Any:
    """A factor that somebody gave, W or V: a Dask array as it is, anything else as an array of NumPy's.

    Raises
    ------
    TypeError
        If it is no array of real numbers.
    ValueError
        If some are masked.
    """
    if is_a(X, "dask.array", "Array"):
        return X
    X = X.toarray() if is_sparse(X) else np.ma.array(X) if has_masked_rows(X) else X
    if np.ma.is_masked(X):
        raise ValueError(f"{name} is a masked array with masked entries: every entry must be a number; fill them")
    try:
        array = np.asarray(X)
        array = array.astype("f8") if array.dtype == object else array
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is of type {_type(X)}: an array of numbers is required ({error})") from None
    if array.dtype.kind not in "biuf" or not array.ndim:
        held = f"has dtype {array.dtype}" if array.ndim else f"is of type {_type(X)}"
        raise TypeError(f"{name} {held}: an array of real numbers is required")
    return array


def _type(X: object) -> str:
    """The type of an object, with the library that it is of."""
    library = type(X).__module__.partition(".")[0]
    return type(X).__qualname__ if library == "builtins" else f"{library} {type(X).__qualname__}"


# Tables.


def _of_frame(X: Any) -> Found:
    """A pandas DataFrame: a sparse one as CSR, others as the smallest dtype that holds all of their columns."""
    pandas, dtypes = sys.modules["pandas"], list(X.dtypes)
    sparse = [isinstance(dtype, pandas.SparseDtype) for dtype in dtypes]
    named = partial(names_of_frame, X)
    if any(sparse):
        if not all(sparse) or any(dtype.fill_value != 0 for dtype in dtypes):
            raise TypeError(
                "X is a pandas DataFrame of which not all columns are sparse around 0: make them so, "
                "X.astype(pandas.SparseDtype(float, 0)), or dense, X.sparse.to_dense()"
            )
        return Found(X.sparse.to_coo().tocsr(), IN_MEMORY, named)
    return Found(_of_dense_columns(X, dtypes), IN_MEMORY, named)


def _of_dense_columns(X: Any, dtypes: list[Any]) -> Numbers:
    """The numbers of a pandas DataFrame of which no column is sparse."""
    numeric = sys.modules["pandas"].api.types.is_numeric_dtype
    for name, dtype in zip(X.columns, dtypes, strict=True):
        if not numeric(dtype) and dtype.kind != "O":
            raise TypeError(
                f"column {name!r} of the DataFrame X has dtype {dtype}: numbers are required; drop it, or make numbers "
                f"of it"
            )
    if all(map(numeric, dtypes)) and dtypes:
        kinds = [getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes]
        # A missing number is NaN then, and refused as one.
        lacking = {"na_value": np.nan} if X.isna().to_numpy().any() else {}
        wanted = np.result_type("f8" if lacking else kinds[0], *kinds)
        return np.asarray(X.to_numpy(dtype=wanted, **lacking))
    return _numbers(X.to_numpy(dtype=object))


def _of_polars(X: Any) -> Found:
    return Found(_numbers(X.to_numpy()), IN_MEMORY, partial(names_of_columns, X.columns))


def _of_arrow(X: Any) -> Found:
    return Found(_numbers(np.asarray(X)), IN_MEMORY, partial(names_of_columns, X.column_names))


def _of_dask_frame(X: Any) -> Found:
    """A Dask DataFrame, whose partitions are computed once for their lengths."""
    return replace(_of_dask(X.to_dask_array(lengths=True)), named=partial(names_of_columns, X.columns))


# Arrays.


def _of_data_array(X: Any) -> Found:
    """An xarray DataArray: what it holds, or, where that is not loaded, what reads it."""
    if X.ndim != 2:
        raise ValueError(
            f"X is an xarray DataArray of the dimensions {', '.join(map(str, X.dims)) or 'none'}: two are required; "
            f"select, or stack several to one, as in X.stack(columns=[…])"
        )
    codes = {name: value for name, value in X.attrs.items() if not name.startswith("valid_")}
    if Codes.of(codes, X.dtype, DATA_ARRAY):
        raise ValueError(
            f"X is an xarray DataArray whose numbers are still coded ({', '.join(sorted(codes.keys() & CODING))}): "
            f"decode them, xarray.decode_cf(dataset)"
        )
    named = partial(names_of_data_array, X)
    # There is no public word for it, and to look at the numbers would load them: what they are read with is no array.
    if not hasattr(X.variable._data, "__array_function__"):
        return Found(DataArrayInFile(X), f"{DATA_ARRAY} in a file", named)
    return replace(take(X.data), named=named)


# What an attribute may be called that changes what a number means.
CODING = {"scale_factor", "add_offset", "_Unsigned", "_FillValue", "missing_value"}


def _of_dataset(X: Any) -> Found:
    """An xarray Dataset with one matrix."""
    matrices = [name for name, variable in X.data_vars.items() if variable.ndim == 2]
    if len(matrices) != 1:
        held = ", ".join(map(repr, matrices or X.data_vars)) or "none"
        raise ValueError(
            f"X is an xarray Dataset with {len(matrices)} variables of two dimensions ({held}): one is required; name "
            f"it, X[name]"
        )
    return _of_data_array(X[matrices[0]])


def _of_masked(X: Any) -> Found:
    """A masked array: as an array of NumPy's, unless something is masked."""
    return Found(X if np.ma.is_masked(X) else _numbers(np.ma.getdata(X)), IN_MEMORY)


def _of_hdf5(X: Any) -> Found:
    """A dataset of an HDF5 file."""
    if not X:
        raise ValueError("X is a dataset of an HDF5 file that is closed: leave it open for as long as X is read")
    array = Hdf5Array.of(X)
    return Found(array, f"{HDF5} ({array.name} of {array.path})")


def _of_pydata_sparse(X: Any) -> Found:
    return Found(X.to_scipy_sparse().tocsr(), IN_MEMORY)


def _of_dask(X: Any) -> Found:
    """A Dask array of NumPy or scipy.sparse blocks, whose sizes are known."""
    if not is_a(X, "dask.array", "Array"):
        raise TypeError(
            f"X is of type {_type(X)}, whose shape Dask does not know: make a Dask array of it, dask.array.from_delayed"
        )
    if any(isnan(side) for side in X.shape):
        raise ValueError(
            f"X is a Dask array with chunks of unknown sizes, its shape is {X.shape}: compute them, "
            f"X = X.compute_chunk_sizes(), or, of a Dask DataFrame, to_dask_array(lengths=True)"
        )
    meta = X._meta
    if not (isinstance(meta, np.ndarray) or is_sparse(meta)):
        raise TypeError(
            f"X is a Dask array of blocks of {_type(meta)}: blocks of NumPy or scipy.sparse are required; convert "
            f"them, X.map_blocks(…)"
        )
    return Found(X, DASK)


def _numbers(X: Any) -> Numbers:
    """What NumPy makes of an object: an array of numbers."""
    array = X if isinstance(X, np.ndarray) else _as_array(X)
    if array.dtype != object or array.ndim == 0:
        return np.asarray(array)
    try:
        if not (text := next(_texts(array), None)):
            return np.asarray(array, dtype="f8")
        place, value = text
    except (TypeError, ValueError):
        place, value = next(_no_numbers(array))
    shown = f"{value!r}, " if isinstance(value, str | bytes) else ""
    raise TypeError(f"X[{', '.join(map(str, place))}] is {shown}of type {_type(value)}: numbers are required")


def _as_array(X: Any) -> Numbers:
    """What NumPy makes of anything, by itself or through DLPack."""
    reason = ""
    try:
        array = np.asarray(X)
        if array.ndim:
            return array
    except (TypeError, ValueError, RuntimeError, AttributeError, BufferError) as error:
        reason = f" ({error})"
    with suppress(TypeError, ValueError, RuntimeError, AttributeError, BufferError):
        return np.from_dlpack(X)
    raise TypeError(
        f"X is of type {_type(X)}, of which NumPy makes no matrix{reason}: give an array in this process's memory, a "
        f"scipy.sparse matrix, a table, or the path of a matrix in Zarr"
    )


def _texts(array: Numbers) -> Iterator[tuple[tuple[int, ...], object]]:
    """Texts in an array of objects: NumPy would make numbers of some."""
    return ((place, value) for place, value in np.ndenumerate(array) if isinstance(value, str | bytes))


def _no_numbers(array: Numbers) -> Iterator[tuple[tuple[int, ...], object]]:
    """What no number can be made of, in an array of objects."""
    for place, value in np.ndenumerate(array):
        try:
            float(value)
        except (TypeError, ValueError):
            yield place, value


TAKEN: tuple[tuple[str, tuple[str, ...], Callable[[Any], Found]], ...] = (
    ("numpy.ma", ("MaskedArray",), _of_masked),
    ("pandas", ("DataFrame",), _of_frame),
    ("polars", ("DataFrame",), _of_polars),
    ("pyarrow", ARROW, _of_arrow),
    ("xarray", ("DataArray",), _of_data_array),
    ("xarray", ("Dataset",), _of_dataset),
    ("h5py", ("Dataset",), _of_hdf5),
    ("sparse", ("SparseArray",), _of_pydata_sparse),
    ("dask.dataframe", ("DataFrame",), _of_dask_frame),
)

# What people give that is no matrix, and what they mean.
REFUSED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("h5py", ("Group",), "give one of its datasets, or make Zarr of it, as `dnmf convert X.h5ad X.zarr` does"),
    ("xarray", ("Variable",), "give a DataArray of it, or what it holds, X.data"),
    ("xarray", ("DataTree",), "give one of its arrays, X[node][name]"),
    ("polars", ("LazyFrame",), "collect it, X.collect()"),
    ("zarr.abc.store", ("Store",), "open what it holds, zarr.open(X, mode='r'), or give its path"),
    ("zarr.storage", ("StorePath",), "open what is there, zarr.open(X, mode='r'), or give its path"),
    ("mudata", ("MuData",), "give one of its modalities, X.mod[name]"),
    ("collections.abc", ("Mapping",), "give one of its values, X[name]"),
    ("collections.abc", ("Iterator", "Set"), "make an array of its rows, numpy.array(list(X)), or write them to Zarr"),
)
