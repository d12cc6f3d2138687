"""The transpose of a matrix that comes strip by strip, and strips of one whose chunks are taller than strips.

Both need what was read to lie aside for a while, on disk.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr

from dnmf.formats.contents import Contents, Numbers, SparseContents, cuts, strip_height


def turned(contents: Contents | SparseContents, folder: Path) -> Contents | SparseContents:
    """The transpose of a matrix: rows become columns. A dense one is written to a new folder on the way, once."""
    said, shape = contents.about, contents.shape[::-1]
    about = replace(said, rows=said.columns, columns=said.rows)
    if isinstance(contents, SparseContents):
        return replace(contents, shape=shape, kind="csc" if contents.kind == "csr" else "csr", about=about)
    return Contents(shape, contents.dtype, _turn(contents, folder), about)


def _turn(contents: Contents, folder: Path) -> Iterator[Numbers]:
    """Strips of the transpose, from chunks that are as high as strips come and as wide as strips go."""
    (m, n), dtype = contents.shape, contents.dtype.newbyteorder("=")
    chunks = (min(m, strip_height((m, n), dtype)), min(n, strip_height((n, m), dtype)))
    aside = zarr.create_array(folder, shape=(m, n), chunks=chunks, dtype=dtype, compressors=None)
    start = 0
    for strip in contents.strips:
        aside[start : start + len(strip)] = strip.astype(dtype, copy=False)
        start += len(strip)
        del strip  # or it would live on while the next one is read
    for start, stop in cuts((n, m), dtype):
        yield np.asarray(aside[:, start:stop]).T
