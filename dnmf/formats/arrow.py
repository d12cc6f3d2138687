"""Tables of Apache Arrow: .parquet, a file or a folder of them, and .feather; their columns are those of X."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dnmf.formats.contents import About, Contents, Dtype, Numbers, Source, strip_height

# What Arrow calls the files of a suffix.
FORMATS = {".parquet": "parquet", ".feather": "feather"}

# Names of rows that are read at a time.
SOME = 2**16


def read_arrow(source: Source) -> Contents:
    """Read a table of numbers; pandas' index, or leading columns of texts, are names of rows."""
    path = source.path
    table = _table(path)
    columns = {field.name: field.type for field in table.schema}
    labels = _index(table.schema) or _leading_texts(columns)
    dtypes = {name: _dtype(path, name, kind) for name, kind in columns.items() if name not in labels}
    dtype = np.result_type(*dtypes.values()) if dtypes else np.dtype("f8")
    if source.missing:
        dtype = np.result_type(dtype, "f2")
    shape, said = (table.count_rows(), len(dtypes)), (f"column {', '.join(labels)} as names of rows",) * bool(labels)
    about = About(_names(table, labels) if labels else None, [list(dtypes)], said)
    return Contents(shape, dtype, _strips(table, list(dtypes), dtype, strip_height(shape, dtype), source), about)


def _table(path: Path) -> Any:
    """The table, opened and unread."""
    try:
        from pyarrow import ArrowInvalid, dataset  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(f'{path} is read by pyarrow, which is missing: pip install "dnmf[parquet]"') from error
    try:
        return dataset.dataset(path, format=FORMATS[path.suffix.lower()])
    except ArrowInvalid as error:
        raise ValueError(
            f"{path} is no table of Apache Arrow ({error}): copy it again, or write it with pandas"
        ) from None


def _index(schema: Any) -> list[str]:
    """The columns that pandas' index is in; one that only counts rows is in none."""
    said = (schema.pandas_metadata or {}).get("index_columns", ())
    return [name for name in said if isinstance(name, str) and name in schema.names]


def _leading_texts(columns: dict[str, Any]) -> list[str]:
    """The columns of texts before the first one of numbers."""
    labels: list[str] = []
    for name, kind in columns.items():
        if "string" not in str(kind):
            break
        labels.append(name)
    return labels


def _dtype(path: Path, name: str, kind: Any) -> Dtype:
    """The dtype of a column of numbers."""
    try:
        dtype: Dtype = np.dtype(kind.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        # What NumPy has no dtype for is refused below, by its name.
        dtype = np.dtype("O")
    if dtype.kind not in "biuf":
        rule = "numbers are required, and names of rows before them; leave the column out"
        raise ValueError(f"{path}: column {name!r} holds {kind}: {rule}")
    return dtype


def _strips(table: Any, names: list[str], dtype: Dtype, height: int, source: Source) -> Iterator[Numbers]:
    """Strips of a table, a number in every place, or NaN where some may be missing."""
    start = 0
    for batch in table.to_batches(columns=names, batch_size=height, batch_readahead=1, fragment_readahead=1):
        strip = np.empty((batch.num_rows, len(names)), dtype)
        for j, (name, column) in enumerate(zip(names, batch.columns, strict=True)):
            if column.null_count and not source.missing:
                row = start + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
                rule = "a number is required in every place; fill what is missing, leave it out, or, to have NaN there,"
                rule += ' say --missing nan (missing="nan")'
                raise ValueError(f"{source.path}: row {row} has nothing in column {name!r}: {rule}")
            strip[:, j] = column.to_numpy(zero_copy_only=False)
        start += len(strip)
        yield strip


def _names(table: Any, labels: list[str]) -> Iterator[list[str]]:
    """Names of rows, those of several columns joined."""
    for batch in table.to_batches(columns=labels, batch_size=SOME):
        yield [" ".join(map(str, row)) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
