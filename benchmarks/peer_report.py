"""What `peers.py` prints and draws, from its results alone: two tables and a figure."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

Record = dict[str, Any]

# Within this share of an error counts as having reached it; so does an error below this share of ‖X‖.
WITHIN, NEGLIGIBLE = 1e-3, 1e-3

HEADER = (
    "X",
    "contestant",
    "reads of X",
    "error",
    "s to dnmf's loss",
    "÷ dnmf's s",
    "last error ÷ dnmf's",
    "peak MiB",
)

REFERENCES = ("scikit-learn cd, nndsvda", "scikit-learn cd, random")
DEFAULTS, BATCHES, BY_HAND = "scikit-learn, defaults", "MiniBatchNMF", "Dask mu, by hand"

# Okabe and Ito's colours, which colour-blind people tell apart; dashes tell the two cd apart too.
LINES = {
    "dnmf": ("#000000", "-"),
    "scikit-learn cd, nndsvda": ("#0072B2", "-"),
    "scikit-learn cd, random": ("#0072B2", "--"),
    "scikit-learn mu": ("#56B4E9", "-"),
    "MiniBatchNMF": ("#D55E00", "-"),
    "Dask mu, by hand": ("#009E73", "-"),
    "nmf-torch HALS": ("#CC79A7", "-"),
}


def goal(error: float) -> float:
    """The error at which another one has been reached.

    >>> goal(0.5), goal(1e-5)
    (0.5005, 0.001)
    """
    return max((1 + WITHIN) * error, NEGLIGIBLE)


def error_of(loss: float, norm: float) -> float:
    """‖X − W V‖ / ‖X‖."""
    return math.sqrt(max(loss, 0.0) / norm)


def seconds_until(trace: Sequence[Sequence[float]], loss: float) -> float | None:
    """Seconds until a loss was reached: between two points of a trace, the logarithm of the loss is a line.

    >>> seconds_until([(2, 1.0, 100.0), (4, 3.0, 1.0)], 10.0)
    2.0
    """
    for before, at in zip([None, *trace], trace, strict=False):
        if at[2] <= loss:
            if before is None or at[2] <= 0:
                return at[1]
            share = math.log(before[2] / loss) / math.log(before[2] / at[2])
            return before[1] + share * (at[1] - before[1])
    return None


def table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first row is its header."""
    header, *body = rows
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def rows_of(matrix: Record) -> list[list[str]]:
    """The rows of one matrix in the table of peers."""
    ours = matrix["contestants"]["dnmf"]
    aim = goal(error_of(ours["loss"], matrix["norm"])) ** 2 * matrix["norm"]
    title = f"{matrix['title']}, {matrix['shape'][0]} × {matrix['shape'][1]}, k = {matrix['rank']}"
    rows = []
    for name, record in matrix["contestants"].items():
        rows.append(["" if rows else title, name, *_cells(name, record, matrix, aim)])
    return rows


def _cells(name: str, record: Record, matrix: Record, aim: float) -> list[str]:
    if "skipped" in record:
        return ["–", "–", "–", f"not run: {record['skipped']}", "–", "–"]
    ours, peak = matrix["contestants"]["dnmf"], f"{record['peak'] / 2**20:.0f}"
    if name == "dnmf":
        error = error_of(record["loss"], matrix["norm"])
        return [f"{record['trace'][-1][0]:.0f}", _error(error), f"{record['total']:.3g}", "1", "1", peak]
    before = [point for point in record["trace"] if point[1] <= ours["total"]]
    reads = f"{before[-1][0]:.0f}" if before else f"< {record['trace'][0][0]:.0f}"
    error = _error(error_of(before[-1][2], matrix["norm"])) if before else "–"
    until = seconds_until(record["trace"], aim)
    last = f"{math.sqrt(record['trace'][-1][2] / ours['loss']):.4f}" if ours["loss"] else "–"
    times = _times(record, until, ours["total"], matrix["cap"])
    return [reads, error, "–" if until is None else f"{until:.3g}", times, last, peak]


def _times(record: Record, until: float | None, total: float, cap: float) -> str:
    """How many times as long as dnmf a contestant takes to a loss, as text."""
    if until is not None and until <= cap * total:
        return _short(until / total)
    if until is None and record["end"] in ("stalled", "ended"):
        return f"never, {record['end']} at {_short(record['trace'][-1][1] / total)}"
    return f"> {_short(min(cap, record['trace'][-1][1] / total))}"


def _short(times: float) -> str:
    return f"{times:.2g}" if times < 10 else f"{times:.0f}"


def _error(error: float) -> str:
    return f"{error:.4f}" if error >= NEGLIGIBLE else f"{error:.1e}"


def reads_until_within(matrix: Record) -> str:
    """dnmf's reads of X until it is within 0.1 % of scikit-learn's best error after so many iterations."""
    ours, reads = matrix["contestants"]["dnmf"], 2 * matrix["iterations"]
    losses = [
        point[2]
        for name in REFERENCES
        for point in matrix["contestants"].get(name, {}).get("trace", ())
        if point[0] == reads
    ]
    if not losses:
        return "–"
    best = error_of(min(losses), matrix["norm"])
    for point in ours["trace"]:
        if error_of(point[2], matrix["norm"]) <= goal(best):
            return f"{point[0]:.0f}"
    last = error_of(ours["loss"], matrix["norm"])
    return f"not in {ours['trace'][-1][0]:.0f} ({last / best:.4f} × its error)"


def errors_side_by_side(matrix: Record) -> list[str]:
    """Final errors of dnmf and of scikit-learn, default settings of both, and their ratio."""
    ours = error_of(matrix["contestants"]["dnmf"]["loss"], matrix["norm"])
    theirs = matrix["contestants"].get(DEFAULTS, {}).get("trace")
    if not theirs:
        return [_error(ours), "–", "–"]
    other = error_of(theirs[-1][2], matrix["norm"])
    return [_error(ours), _error(other), f"{ours / other:.4f}"]


def every_matrix(matrices: Sequence[Record]) -> str:
    """The table of what must hold for every matrix."""
    within = f"reads until within 0.1 % of scikit-learn after {matrices[0]['iterations']} iterations"
    header = ["X", within, "final error", "scikit-learn's", "ratio"]
    return table([header, *([m["title"], reads_until_within(m), *errors_side_by_side(m)] for m in matrices)])


def on_disk(matrix: Record) -> str:
    """The table of what must hold for X on disk: dnmf's seconds from the call to its return, over those of others."""
    ours, others = matrix["contestants"]["dnmf"], matrix["contestants"]
    total, aim = ours["total"], goal(error_of(ours["loss"], matrix["norm"])) ** 2 * matrix["norm"]
    rows = [["dnmf's seconds ÷ those of", "target", "aim", "measured"]]
    rows.append(["one bare parallel read of X", "", "", f"{total / ours['bare_read']:.2f}"])
    in_memory = [others[name] for name in REFERENCES if "trace" in others.get(name, {})]
    if in_memory:
        rows.append(["scikit-learn in memory, to dnmf's loss", "1/15", "1/40", _fastest(in_memory, aim, matrix)])
    if "trace" in others.get(BATCHES, {}):
        batches = others[BATCHES]
        until = batches["trace"][-1][1] / total
        worse = error_of(batches["trace"][-1][2], matrix["norm"]) / error_of(ours["loss"], matrix["norm"])
        how = f"1/{_short(until)}" if batches["end"] == "stalled" else f"< 1/{_short(until)}, not stalled yet"
        rows.append(["MiniBatchNMF, until it stalls", "1/2", "1/5", f"{how} (at {worse:.4f} × dnmf's error)"])
    if "trace" in others.get(BY_HAND, {}):
        rows.append(["Dask mu by hand, to dnmf's loss", "1/20", "1/50", _fastest([others[BY_HAND]], aim, matrix)])
    gigabytes = math.prod(matrix["shape"]) * matrix["itemsize"] / 1e9
    return f"{matrix['title']}, {gigabytes:.2g} GB on disk, k = {matrix['rank']}:\n\n{table(rows)}"


def _fastest(records: Sequence[Record], aim: float, matrix: Record) -> str:
    """One over the ratio of the contestant that reached the loss first, or of the one that was followed longest."""
    total = matrix["contestants"]["dnmf"]["total"]
    reached = [until for record in records if (until := seconds_until(record["trace"], aim)) is not None]
    if reached and min(reached) <= matrix["cap"] * total:
        return f"1/{_short(min(reached) / total)}"
    return f"< 1/{_short(min(matrix['cap'], max(record['trace'][-1][1] for record in records) / total))}"


def report(results: Record) -> str:
    """All tables."""
    matrices = list(results["matrices"].values())
    peers = table([HEADER, *(row for matrix in matrices for row in rows_of(matrix))])
    large = [on_disk(matrix) for matrix in matrices if matrix["contestants"]["dnmf"]["bare_read"]]
    skipped = [f"{name}: not run: {why}" for name, why in results["skipped"].items()]
    return "\n\n".join([peers, every_matrix(matrices), *large, *skipped]) + "\n"


def draw(results: Record, path: Path) -> None:
    """Draw the error against reads of X, one panel a matrix, to a PNG that is meant to be shown 900 pixels wide."""
    matrices = list(results["matrices"].values())
    columns = min(3, len(matrices))
    rows = math.ceil(len(matrices) / columns)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 2.3 * rows + 0.9), dpi=200, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        most = 1.2 * max(point[0] for m in matrices for record in _drawn(m).values() for point in record["trace"])
        for axis, matrix in zip(axes, matrices, strict=False):
            _panel(axis, matrix, most)
        for axis in axes[len(matrices) :]:
            axis.remove()
        figure.supxlabel("reads of X (passes over it, where it is in memory)", fontsize=9)
        figure.supylabel("error above the best seen", fontsize=9)
        lines = {line.get_label(): line for axis in figure.axes for line in axis.lines if line.get_label() in LINES}
        shown = [name for name in LINES if name in lines]
        figure.legend([lines[name] for name in shown], shown, loc="outside upper center", ncols=4, frameon=False)
        figure.savefig(path)


def _drawn(matrix: Record) -> dict[str, Record]:
    """The records that are drawn, in the order of the legend."""
    records = matrix["contestants"]
    return {name: records[name] for name in LINES if "trace" in records.get(name, {})}


def _panel(axis: Any, matrix: Record, most: float) -> None:
    """One matrix, up to so many reads."""
    traces = {name: np.array(record["trace"]) for name, record in _drawn(matrix).items()}
    errors = {name: np.sqrt(trace[:, 2] / matrix["norm"]) for name, trace in traces.items()}
    best = max(NEGLIGIBLE, min(float(error.min()) for error in errors.values()))
    for name in reversed(errors):
        above = 100 * (np.maximum(errors[name], NEGLIGIBLE) / best - 1)
        color, dashes = LINES[name]
        width, marker = (2.2, "o") if name == "dnmf" else (1.3, None)
        axis.plot(
            traces[name][:, 0],
            np.maximum(above, 0.01),
            dashes,
            color=color,
            label=name,
            linewidth=width,
            marker=marker,
            markersize=4,
        )
    axis.axhline(0.1, color="0.6", linewidth=0.8, linestyle=":")
    axis.set(xscale="log", yscale="log", title=f"{matrix['title']}, k = {matrix['rank']}")
    axis.set_xlim(0.8, most)
    axis.set_ylim(0.008, None)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %" if y > 0.01 else "≤ 0.01 %"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_minor_formatter(NullFormatter())
