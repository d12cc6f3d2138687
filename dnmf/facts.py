"""What there is to tell of a run, in words."""

from collections.abc import Mapping
from statistics import median
from typing import Any


def facts(record: Mapping[str, Any], history: Mapping[str, Any], reads: float) -> dict[str, str]:
    """What there is to tell of a run, by name, in the order in which it is shown."""
    x, asked, seconds = record["x"], record["parameters"], [float(s) for s in history["seconds"]]
    shape, chunks = (" × ".join(map(str, x[name])) for name in ("shape", "chunks"))
    rows_or_columns = ("rows", "columns")[record["state"]["axis"]]
    return {
        "status": record["status"],
        "X": f"{x['path']}, {shape} {x['dtype']}, chunks of {chunks}",
        "strips": f"{record['state']['height']} {rows_or_columns} each",
        "parameters": ", ".join(f"{name} {value}" for name, value in asked.items() if _tells(name, value)),
        "passes": str(record["iteration"]),
        "loss": f"{float(history['loss'][-1]):.6e}",
        "relative error": f"{record['relative_error']:.6f}",
        "gradient": f"{float(history['gradient'][-1]):.3e}, projected, of the short factor",
        "start": _begun(record["start"], rows_or_columns),
        "seconds": f"{record['start']['seconds'] + sum(seconds):.2f} in all, {median(seconds):.3f} a pass (median)",
        "reads": f"{reads:g} of X",
        "stopped": record["stopped"] or "no: it is going on, or was killed",
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
    }


def _begun(start: Mapping[str, Any], rows_or_columns: str) -> str:
    """How the first factors came about."""
    if not start["rows"]:
        return "no sample"
    error = "" if start["relative_error"] is None else f", relative error {start['relative_error']:.6f} there"
    return f"{start['seconds']:.2f} s for a sample of {start['rows']} {rows_or_columns}{error}"


def _tells(name: str, value: Any) -> bool:
    """Whether a parameter is worth a word: not where nothing is penalized or shuffled, and W is kept."""
    if name == "keep_W":
        return not value
    return value is not None and (name not in ("alpha_W", "alpha_H", "l1_ratio", "shuffle") or bool(value))
