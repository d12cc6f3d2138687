"""Disturb factorizations at random moments, resume them, and compare with the undisturbed answer.

    python tests/processes/chaos/trial.py --trials 100 --seed 0 --out results.csv
    python tests/processes/chaos/trial.py --kinds driver group --trials 4

Trials of all kinds alternate, one after the other. The folder of a trial that did not go well is kept, and named.
"""

import argparse
import csv
import signal
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import click
from disturbances import NotPossibleError
from outcomes import COLUMNS, Result, line, table
from rounds import NAMES, World


def made(world: World, asked: Iterable[tuple[str, int]], file: TextIO) -> list[Result]:
    """Make trials, and tell of each at once."""
    results: list[Result] = []
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    for kind, number in asked:
        try:
            result = world.trial(kind, number)
        except NotPossibleError as error:
            click.echo(f"{kind:10s} {number:3d}  skipped: {error}")
            continue
        results.append(result)
        writer.writerow({name: getattr(result, name) for name in COLUMNS})
        file.flush()
        click.echo(line(result))
    return results


def main() -> None:
    """Make the trials that are asked for; exit with 1 if one did not go well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--out", type=Path, default=Path("results.csv"))
    parser.add_argument("--folder", type=Path, help="where to work; a new temporary folder if not given")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what a trial started ends with it
    if asked.folder:
        asked.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=asked.folder))
    click.echo(f"works in {folder}")
    kinds = asked.kinds
    numbered = [(kinds[i % len(kinds)], asked.first + i // len(kinds)) for i in range(asked.trials)]
    with asked.out.open("w", newline="") as file:
        results = made(World(folder, asked.seed), numbered, file)
    click.echo("\n".join(table(results, kinds)))
    sys.exit(not all(result.fine for result in results))


if __name__ == "__main__":
    main()
