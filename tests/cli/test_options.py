"""What is typed for an option that several commands have is read, or refused before anything starts."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from commands import command

from dnmf.cli.options import Bytes


@pytest.fixture
def x(tmp_path: Path) -> Path:
    zarr.create_array(str(tmp_path / "x.zarr"), data=np.ones((6, 5)), chunks=(6, 5))
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "size"),
    [("2GiB", 2**31), ("2 GB", 2 * 10**9), ("640MiB", 640 * 2**20), ("1.5GiB", 3 * 2**29), ("1e9", 10**9)],
)
def test_a_size_is_read_with_its_unit(typed: str, size: int) -> None:
    found = Bytes().convert(typed, None, None)
    assert (found, type(found)) == (size, int), "what is asked for is written to a run as it is"


@pytest.mark.parametrize(
    "typed", ["500", "0", "-1", "1e30", "1e400", "nan", "50%", "GiB", "", "two GiB", "100MiB", "2TGB"]
)
def test_a_size_that_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path, typed: str) -> None:
    words = ("factorize", "x.zarr", "--rank", 2, "--out", "r.zarr", "--workers", 1, "--memory-limit", typed)
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2
    named = f"{typed!r}, {typed} bytes," if typed.isdecimal() else repr(typed)
    assert done.stderr.endswith(
        f"Invalid value for '--memory-limit': {named} is not possible: a size with its unit, as in 2GiB, of at least "
        f"222MiB, which a worker needs to start, is required\n"
    )


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (("--workers", 0), 2, "Invalid value for '--workers': 0 is not in the range x>=1."),
        (("--workers", -1), 2, "Invalid value for '--workers': -1 is not in the range x>=1."),
        (("--workers", 1000000), 1, "1000000 workers are asked for, and this machine, with "),
        (("--workers", "1e30"), 2, "Invalid value for '--workers': '1e30' is not a valid integer range."),
        (("--scheduler", ""), 2, "--scheduler has an empty value: say where to compute, or leave it out"),
        (("--cluster", " "), 2, "--cluster has an empty value: say where to compute, or leave it out"),
    ],
)
def test_a_place_that_makes_no_sense_is_refused_in_a_sentence(
    x: Path, typed: tuple[str, str], code: int, said: str
) -> None:
    done = command("factorize", "x.zarr", "--rank", 2, "--out", "r.zarr", *typed, cwd=x)
    assert done.returncode == code
    assert said in done.stderr
    assert not (x / "r.zarr").exists()
