"""documents: how often each of 4258 words occurs in each of 395 news stories; X is 395 × 4258 float32, 3.6 % non-zero.

Source: Reuters stories of 1996 and 1997, the files `lda/tests/reuters.*` of the PyPI package lda 3.0.2 (0.35 MB,
fetched and not installed).
Licence: MPL-2.0, as the package states it.
Components: topics, each a row of V seen as its heaviest words (the Vatican, Yeltsin's heart, the Simpson trial, …);
W says what a story is about.
Attributes: `tokens` (the word of each column), `titles` (the headline of each row), `source`, `licence`.
"""

import sys
from pathlib import Path

import numpy as np
from fetch import parser, publish, run, wheel

PACKAGE = "lda==3.0.2"


def counts(ldac: str, words: int) -> np.ndarray:
    """Dense counts (documents × words) from the LDA-C format: a line per document, `distinct word:count word:count …`.

    Raises
    ------
    ValueError
        If a line does not hold as many words as it says.
    """
    lines = ldac.splitlines()
    X = np.zeros((len(lines), words), "f4")
    for row, line in enumerate(lines):
        distinct, *pairs = line.split()
        if len(pairs) != int(distinct):
            raise ValueError(f"document {row} holds {len(pairs)} words, its line says {distinct}: fetch the file again")
        for pair in pairs:
            word, count = pair.split(":")
            X[row, int(word)] = int(count)
    return X


def write(out: Path) -> None:
    """Fetch the stories and write X (395 × 4258) to a Zarr array at `out`."""
    files = wheel(PACKAGE, *(f"lda/tests/reuters.{kind}" for kind in ("ldac", "tokens", "titles")))
    ldac, tokens, titles = (content.decode() for content in files)
    attributes = {
        "source": f"PyPI {PACKAGE}, lda/tests/reuters.ldac, .tokens, .titles",
        "licence": "MPL-2.0",
        "tokens": tokens.split(),
        "titles": [line.split(" ", 1)[1] for line in titles.splitlines()],
    }
    publish(counts(ldac, len(attributes["tokens"])), out, attributes=attributes)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("documents", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
