"""Two names of one place are told to be one, two places are told apart."""

from pathlib import Path

import pytest

from dnmf.stores.identity import inside, nested, same


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder `a` with `X` in it; `far` links to `a`, `a/near` leads out of it and `a/way` on to `a/near`."""
    for name in ("a/X/c", "b/Y"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "far").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "near").symlink_to("../b")
    (tmp_path / "through").symlink_to("a/near/Y")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("a/X", "a"), ("far/X", "a"), ("a/X", "far"), ("far/X/c", "a/X"), ("a/X/not/there", "far/X"), ("a", "far"),
        # What leads through a folder is lost with it, wherever it leads to.
        ("a/near/Y", "a"), ("a/near/Y", "b"), ("through", "a"), ("through", "far"), ("through", "b/Y"),
        ("loop", "loop"),
    ],
)  # fmt: skip
def test_what_is_below_another_place_by_whatever_name(folder: Path, inner: str, outer: str) -> None:
    assert inside(f"{folder}/{inner}", f"{folder}/{outer}")
    assert nested(f"{folder}/{outer}", f"{folder}/{inner}")


@pytest.mark.parametrize(
    ("one", "other"), [("a/X", "b"), ("a/X", "a/X2"), ("a", "a2/b"), ("a/new", "a/X"), ("loop", "a")]
)
def test_what_is_beside_another_place(folder: Path, one: str, other: str) -> None:
    assert not nested(f"{folder}/{one}", f"{folder}/{other}")


def test_one_place_by_two_names(folder: Path) -> None:
    assert same(f"{folder}/far/X", f"{folder}/a/X")
    assert same("s3://bucket/X", "s3://bucket/X")
    assert not same(f"{folder}/far/X", f"{folder}/a")
    assert not same("a Dask array", f"{folder}/a")


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("s3://bucket/X/c", "s3://bucket/X", True),
        ("s3://bucket/X2", "s3://bucket/X", False),
        ("s3://bucket/X", "gs://bucket/X", False),
        ("s3://bucket/X", "/bucket/X", False),
        ("az://box/X", "abfss://box@account.dfs.core.windows.net/X", True),
        ("https://HOST/X", "http://host/X/c", True),
        # The same object, as its server shows it.
        ("s3://bucket/run", "http://127.0.0.1:9000/bucket/run/W", True),
        ("s3://bucket/run", "https://bucket.s3.amazonaws.com/run/W", True),
        ("s3://bucket/run", "https://host/run2/W", False),
        ("s3://bucket/run", "https://host", False),
    ],
)
def test_urls(one: str, other: str, meet: bool) -> None:
    assert nested(one, other) == nested(other, one) == meet
