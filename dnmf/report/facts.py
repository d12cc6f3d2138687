"""What there is to tell of a run, or of a stored X, in words."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

import zarr

from dnmf.matrix.foreign import is_given
from dnmf.matrix.opening import find, open_matrix
from dnmf.matrix.sparse import SPARSE
from dnmf.plan.strips import rows_or_columns
from dnmf.report.words import count, size
from dnmf.stores.missing_chunks import Missing, ZarrArray, missing
from dnmf.stores.places import answering

if TYPE_CHECKING:
    from dnmf.matrix.labels import Labels
    from dnmf.run.record import Record, Start, StoredX
    from dnmf.run.result import Factorization


def facts(run: "Factorization") -> dict[str, str]:
    """What there is to tell of a run, by name, in the order in which it is shown."""
    about, x, start = run.about, run.about.x, run.about.start
    assert start is not None
    seconds, gradient = run.history["seconds"].tolist(), float(run.history["gradient"][-1])
    lines, asked = rows_or_columns(about.state.axis), asdict(about.parameters)
    return {
        "status": about.status,
        "X": f"{_rows_of(x)}{x.path}, {_by(x.shape)} {x.dtype}, chunks of {_by(x.chunks)}",
        **_extension(about),
        **_observed(run),
        "strips": f"{about.state.height} {lines} each",
        "parameters": ", ".join(f"{name} {value}" for name, value in asked.items() if _tells(name, value)),
        "passes": str(about.iteration),
        "loss": f"{run.loss:.6e}",
        "relative error": f"{run.relative_error:.6f}",
        "gradient": f"{gradient:.3e}, projected, of the short factor",
        "start": _begun(start, lines),
        "seconds": f"{start.seconds + sum(seconds):.2f} in all, {median(seconds):.3f} a pass (median)",
        "reads": f"{run.reads:g} of X",
        "stopped": run.stopped or "no: it is going on, or was killed",
        "versions": ", ".join(f"{name} {version}" for name, version in about.versions.items()),
    }


def _rows_of(x: "StoredX") -> str:
    """Which rows of the matrix at its path X are, where that is one of which they are not all."""
    if len(x.parts) != 1:
        return ""
    return f"rows {x.parts[0].start} to {x.parts[0].stop - 1} of "


def _extension(about: "Record") -> dict[str, str]:
    """What a run extends, where it does."""
    if (extends := about.extends) is None:
        return {}
    rows = "which are in X, too" if extends.exact else "which W does not hold and the error does not count"
    return {"extends": f"{extends.run}, {extends.rows} rows, {rows}"}


def _observed(run: "Factorization") -> dict[str, str]:
    """What of X is there, and its weights, where that is not all or there are some."""
    about = run.about
    weights = {"weights": f"{about.weights.path}, {about.weights.dtype}"} if about.weights else {}
    if about.observed is None:
        return weights
    from dnmf.run.observed import told  # noqa: PLC0415, it loads what reads records, which a matrix has none of

    return weights | {"observed": str(told(about.observed, about.x.shape, run.labels))}


def _begun(start: "Start", lines: str) -> str:
    """How the first factors came about."""
    if not start.rows:
        return "no sample"
    error = "" if start.relative_error is None else f", relative error {start.relative_error:.6f} there"
    return f"{start.seconds:.2f} s for a sample of {start.rows} {lines}{error}"


def _tells(name: str, value: object) -> bool:
    """Whether a parameter is worth a word: not where nothing is penalized or shuffled, and W is kept."""
    if name in ("keep_W", "alpha_scale"):
        return value not in (True, "all")
    return value is not None and (name not in ("alpha_W", "alpha_H", "l1_ratio", "shuffle") or bool(value))


def is_matrix(path: str) -> bool:
    """Whether there is a Zarr array, a sparse matrix or AnnData at a path or URL."""
    try:
        found = zarr.open(answering(path), mode="r")
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return isinstance(found, zarr.Array) or found.attrs.get("encoding-type") in (*SPARSE, "anndata")


def matrix_facts(path: str) -> dict[str, str]:
    """What there is to tell of a stored X, by name, in the order in which it is shown."""
    matrix = open_matrix(path)
    arrays, grid = matrix.arrays, matrix.grid
    found = [missing(array) for array in arrays]
    decoded, stored = sum(a.nbytes for a in arrays), sum(a.nbytes_stored() for a in arrays if a.store.supports_listing)
    said = {
        "X": f"{matrix.location}, {_by(grid.shape)} {matrix.stored_dtype}{', sparse' if matrix.sparse else ''}",
        "chunks": ", ".join(dict.fromkeys(_by(array.chunks) for array in arrays)),
        "shards": ", ".join(dict.fromkeys(_by(array.shards) for array in arrays if array.shards)),
        "codecs": ", ".join(dict.fromkeys(_codecs(array) for array in arrays)),
        "bytes": f"{decoded} decoded, {stored} stored" if stored else f"{decoded} decoded",
        "missing": _in_words(found, arrays),
    }
    return {name: text for name, text in said.items() if text}


def stored_facts(x: "StoredX", labels: "Labels") -> dict[str, str]:
    """What there is to tell of X from what a run says of it, and which of its chunks are there now: nothing is read."""
    m, n = x.shape
    sparse, given = len(x.chunks) == 1, is_given(x.path)
    chunks = f"{count(x.chunks[0])} non-zeros" if sparse else " × ".join(map(count, x.chunks))
    said = {
        "Shape": f"{count(m)} rows × {count(n)} columns",
        "Kind": f"{'sparse' if sparse else 'dense'}, {x.dtype}",
        "Bytes": f"{size(x.nbytes)} decoded",
        "Chunks": "" if given else chunks,
        "Where": x.path,
        "Names": _named(labels),
        "Missing chunks": "" if given else _completeness(x.path),
    }
    return {name: text for name, text in said.items() if text}


def _named(labels: "Labels") -> str:
    rows, columns = labels.rows is not None, labels.columns is not None
    if rows == columns:
        return "rows and columns have names" if rows else "none: rows and columns have numbers, from 0"
    return "rows have names, columns have numbers, from 0" if rows else "columns have names, rows have numbers, from 0"


def _completeness(path: str) -> str:
    """How many chunks of the X at a path are missing, in words, or that it is not there: nothing of X is read."""
    try:
        found = find(path, None).array
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"not known, as X does not open ({error})"
    arrays = (found,) if isinstance(found, zarr.Array) else tuple(array for _, array in found.arrays())
    return _in_words([missing(array) for array in arrays], arrays)


def _in_words(found: list[Missing | None], arrays: tuple[ZarrArray, ...]) -> str:
    """How many chunks are missing, in words."""
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return "not known, as its server lists nothing"
    count, total = sum(each.count for each in known), sum(each.total for each in known)
    first = next((each for each in known if each.count), None)
    noun = "shards" if arrays[0].shards else "chunks"
    if first is None:
        return f"0 of {total} {noun}"
    fill = arrays[known.index(first)].fill_value
    return f"{count} of {total} {noun}, read as {fill}" + (f"; the first is {first.key}" if first.key else "")


def _by(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def _codecs(array: ZarrArray) -> str:
    """The names of filters and compressors, in the order in which they are applied."""
    stages = (*array.filters, *array.compressors)
    return " + ".join(map(_name, stages)) or "none"


def _name(codec: Any) -> str:
    described = codec.to_dict() if hasattr(codec, "to_dict") else codec.get_config()
    return str(described.get("name", described.get("id")))
