"""words: which three-letter pieces each of 1 182 650 words of 26 languages is made of; 9 million non-zeros.

Sparse: a Zarr group as AnnData writes it. A row is a word of four letters or more, in any order; a column is a trigram
that is in at least 200 of the words, and an entry says how often it is there (float32). `·` stands for the beginning
and the end of a word: `·ge` begins one, `en·` ends one. A word that is used in several languages is there once, as one
of the language in which it is the most frequent.

Source: the lists `wordfreq/data/{large,small}_*.msgpack.gz` of the PyPI package wordfreq 3.1.1 (57 MB, fetched and not
installed): words of Wikipedia, subtitles, news, books, the web. The 80 000 most frequent ones per language, or as many
as there are, of the languages that are written in the Latin alphabet with words between blanks.
Licence: CC-BY-SA-4.0, as the package states it for its data: keep the names and the licence with what is made of it.
Components: beginnings, endings and clusters of letters, each a row of V seen as its heaviest trigrams; the mean of W
over the words of a language says how that language builds its words.
Members beside the matrix: `language` (of each row, its place in the attribute `languages`), `word`.
Attributes: `languages`, `source`, `licence`.
"""

import gzip
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgpack
import numpy as np
from counts import publish_sparse
from fetch import parser, run, wheel
from scipy import sparse

PACKAGE = "wordfreq==3.1.1"
LARGE = ("ca", "cs", "de", "en", "es", "fi", "fr", "it", "nb", "nl", "pl", "pt", "sv")
SMALL = ("da", "fil", "hu", "id", "is", "lt", "lv", "ms", "ro", "sh", "sk", "sl", "tr")
PER_LANGUAGE = 80_000
AT_LEAST = 200
SHORTEST = 4


def frequent(content: bytes) -> Iterable[tuple[int, str]]:
    """The most frequent words of a list, in that order, each with its level: 0 is the most frequent.

    The list holds words by their frequency in steps of a hundredth of a factor of ten, after one entry of header.
    """
    levels = enumerate(msgpack.loads(gzip.decompress(content))[1:])
    words = [(level, word) for level, some in levels for word in some if len(word) >= SHORTEST and word.isalpha()]
    return words[:PER_LANGUAGE]


def merged(lists: Sequence[Iterable[tuple[int, str]]]) -> tuple[list[str], np.ndarray]:
    """All words of several lists, each once, and the list in which it is the most frequent; shuffled, always alike.

    >>> words, languages = merged([[(1, "gato"), (5, "rosa")], [(2, "rosa"), (4, "haus")]])
    >>> sorted(zip(words, languages.tolist()))
    [('gato', 0), ('haus', 1), ('rosa', 1)]
    """
    best: dict[str, tuple[int, int]] = {}
    for language, words in enumerate(lists):
        for level, word in words:
            best[word] = min(best.get(word, (level, language)), (level, language))
    found = np.array([language for _, language in best.values()], "i1")
    order = np.random.default_rng(0).permutation(len(found))
    words = list(best)
    return [words[row] for row in order], found[order]


def trigrams(words: Sequence[str], *, at_least: int) -> tuple[sparse.csr_array, list[str]]:
    """How often each trigram is in each word, and the trigrams: those that are there so many times in all.

    >>> X, names = trigrams(["anna", "ann"], at_least=2)
    >>> names, X.toarray().tolist()
    (['·an', 'ann'], [[1.0, 1.0], [1.0, 1.0]])
    """
    text = np.frombuffer(("\n" + "\n".join(words) + "\n").encode("utf-32-le"), "u4")
    alphabet, letters = np.unique(text, return_inverse=True)
    base = len(alphabet)
    # The end of a line, 10, comes before all letters, so it is letter 0.
    row = np.cumsum(letters == 0)[1:-1] - 1
    code = (letters[:-2] * base + letters[1:-1]) * base + letters[2:]
    often = np.bincount(code, minlength=base**3) >= at_least
    kept = (letters[1:-1] > 0) & often[code]
    # Trigrams around an end of a line are of no word.
    often[np.arange(base**3) // base % base == 0] = False
    column = np.cumsum(often) - 1
    entries = np.ones(kept.sum(), "f4"), (row[kept], column[code[kept]])
    X = sparse.csr_array(entries, shape=(len(words), often.sum()))
    X.sum_duplicates()
    spelled = [chr(letter) if letter != 10 else "·" for letter in alphabet]
    places = ((at // base**2, at // base % base, at % base) for at in np.flatnonzero(often))
    return X, ["".join(spelled[letter] for letter in place) for place in places]


def write(out: Path) -> None:
    """Fetch the lists and write X (1 182 650 × 6293) to a Zarr group at `out`."""
    files = [
        f"wordfreq/data/{size}_{name}.msgpack.gz"
        for size, all_ in (("large", LARGE), ("small", SMALL))
        for name in all_
    ]
    words, language = merged([frequent(content) for content in wheel(PACKAGE, *files)])
    X, names = trigrams(words, at_least=AT_LEAST)
    facts = {"source": f"PyPI {PACKAGE}, wordfreq/data", "licence": "CC-BY-SA-4.0", "languages": [*LARGE, *SMALL]}
    rows = {"language": language, "word": np.array(words, np.dtypes.StringDType())}
    publish_sparse(X, out, attributes=facts, columns=names, rows=rows)


def main(argv: list[str] | None = None) -> int:
    """Run the recipe from the command line."""
    return run(write, parser("words", __doc__).parse_args(argv).out)


if __name__ == "__main__":
    sys.exit(main())
