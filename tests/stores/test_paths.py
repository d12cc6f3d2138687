"""Names of places: what is a URL, and the one way to write each."""

from pathlib import Path

import pytest

from dnmf.stores.paths import absolute, here, is_url, refuse_bucket


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("s3://bucket/X.zarr/", "s3://bucket/X.zarr"),
        ("s3://bucket//data///X.zarr", "s3://bucket/data/X.zarr"),
        ("S3A://bucket/a/./../X.zarr", "s3://bucket/X.zarr"),
        ("s3://bucket/../../X.zarr", "s3://bucket/X.zarr"),
        ("gcs://bucket/X", "gs://bucket/X"),
        ("memory:///here/X", "memory://here/X"),
        ("file:///data//X.zarr/", "/data/X.zarr"),
        ("FILE://localhost/data/X.zarr", "/data/X.zarr"),
        ("/data/a://b.zarr", "/data/a:/b.zarr"),
    ],
)
def test_a_place_has_one_name(written: str, name: str) -> None:
    assert absolute(written) == name
    assert absolute(name) == name


@pytest.mark.parametrize("name", ["a:b.zarr", "a::b.zarr", "a:", "c:/X.zarr", "12:30/X.zarr", "./s3://bucket"])
def test_a_colon_without_two_slashes_is_a_letter(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_url(name)
    assert absolute(name) == str(tmp_path / Path(name))


def test_a_url_that_was_made_a_path_is_refused_unless_there_is_such_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"s3:/bucket/X looks like a URL that was made a Path"):
        absolute(Path("s3://bucket/X"))
    assert absolute(Path("a:b.zarr")) == str(tmp_path / "a:b.zarr")
    (tmp_path / "s3:").mkdir()
    assert absolute(Path("s3:/X")) == str(tmp_path / "s3:" / "X")


def test_two_dots_lead_where_the_file_system_says(tmp_path: Path) -> None:
    (tmp_path / "far" / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/below")
    assert absolute(tmp_path / "link" / ".." / "X") == str(tmp_path / "far" / "X")
    # Other machines may have another link of that name.
    assert absolute(tmp_path / "link" / "X") == str(tmp_path / "link" / "X")


def test_what_is_written_here_is_no_url(tmp_path: Path) -> None:
    assert here(f"file://{tmp_path}") == tmp_path
    assert here("figures") == Path("figures")
    with pytest.raises(ValueError, match=r"s3://bucket/figures is a URL, and a path on this machine is required"):
        here("s3://bucket/figures")


def test_a_whole_bucket_is_refused() -> None:
    for whole in ("s3://bucket", "s3://bucket//", "s3://bucket/a/.."):
        with pytest.raises(ValueError, match="is a whole bucket, which is not written to"):
            refuse_bucket(absolute(whole), "run.zarr")
    refuse_bucket("s3://bucket/run.zarr", "run.zarr")
