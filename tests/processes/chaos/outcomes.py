"""What became of trials: of one in a line, of all in a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields


@dataclass
class Result:
    """How a trial went.

    Attributes
    ----------
    kind : of its disturbances, or several kinds with + between them, in order.
    moments : when it was disturbed, each as a share of the seconds that an undisturbed run takes, or its passes do.
    phases : where the run stood then: "start-up", "passes" or "end".
    codes : exit codes of its commands, in order; None for one that did not end.
    orphans : the longest that processes outlived their command, seconds.
    left_by_dask : files in local directories of Dask's workers at the end.
    outcome : "right", "wrong" (finished with another answer) or "lost" (not finished).
    complaints : what else was not as it should be.
    """

    kind: str
    number: int
    seed: int
    init: str = ""
    every: int | None = None
    moments: list[float] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
    seconds: float = 0.0
    orphans: float = 0.0
    left_by_dask: int = 0
    outcome: str = "lost"
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether it ended with the undisturbed answer, and nothing else was wrong."""
        return self.outcome == "right" and not self.complaints


COLUMNS = [column.name for column in fields(Result)]


def line(result: Result) -> str:
    """A trial in one line."""
    when = " ".join(f"{m:.2f} {phase}" for m, phase in zip(result.moments, result.phases, strict=True))
    codes = " ".join(map(str, result.codes))
    said = "; ".join([*result.complaints, *result.notes]).replace("\n", " | ")
    return (
        f"{result.kind:10s} {result.number:3d}  seed {result.seed}  {result.init:6s}  every {result.every!s:4s}  "
        f"{result.seconds:5.1f} s  exit codes {codes:12s}  {result.outcome:5s}  at {when}  {said}"
    )


def table(results: Sequence[Result], kinds: Sequence[str]) -> list[str]:
    """How many trials of each kind ended how, as Markdown."""
    rows = ["| kind | trials | in passes | ended right | wrong | lost | complaints | orphans s | left by Dask |"]
    rows.append("|---|" + "--:|" * 8)
    for kind in (*kinds, "all"):
        ours = [result for result in results if kind in (result.kind, "all")]
        if ours:
            outcomes = [sum(result.outcome == outcome for result in ours) for outcome in ("right", "wrong", "lost")]
            cells = [
                len(ours),
                sum("passes" in result.phases for result in ours),
                *outcomes,
                sum(bool(result.complaints) for result in ours),
                f"{max(result.orphans for result in ours):.1f}",
                sum(result.left_by_dask for result in ours),
            ]
            rows.append(f"| {kind} | " + " | ".join(map(str, cells)) + " |")
    return rows
