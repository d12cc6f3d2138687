"""Runs to make reports of: with names that mean harm, with none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from report_data import SCRIPT, parts

import dnmf


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def plain(folder: Path) -> Path:
    """A run without names, of several passes: X (300, 40) in X.zarr beside it, three components."""
    zarr.create_array(str(folder / "X.zarr"), data=parts(300, 40, 3), chunks=(100, 40))
    dnmf.factorize(folder / "X.zarr", 3, init="random", max_iter=6, tol=0, out=folder / "plain.zarr")
    return folder / "plain.zarr"


@pytest.fixture(scope="session")
def named(folder: Path) -> Path:
    """A run of eight components with names: long ones, in several scripts, and such as mean harm."""
    hard = [SCRIPT, '"><img src=x onerror=alert(1)>', "'; alert(1); '", "{{ 7 * 7 }}", "基因-α", "שלום עולם", "a" * 150]
    columns = [*hard, *(f"{'very_long_name_of_a_feature_' * 4}{i}" for i in range(73))]
    rows = [SCRIPT, *(f"{'patient-' * 6}{i}" for i in range(1, 400))]
    X = parts(400, 80, 8)
    # What is in one component alone, and in one row, is sure to be named.
    X[:8, :7] = 50 * np.eye(8, 7)
    dnmf.factorize(pd.DataFrame(X, index=rows, columns=columns), 8, out=folder / "named.zarr")
    return folder / "named.zarr"


@pytest.fixture(scope="session")
def ranked(plain: Path, folder: Path) -> Path:
    """A comparison of ranks of the X of `plain`."""
    dnmf.ranks(folder / "X.zarr", range(2, 6), starts=1, out=folder / "ranks.zarr")
    return folder / "ranks.zarr"
