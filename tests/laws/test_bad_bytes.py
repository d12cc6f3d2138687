"""Bad bytes, full disks and hostile runs: each ends in one sentence, and what was saved before stays as it was."""

import json
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from commands import Done
from commands import command as run
from edits import set_at
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kinds import sparse_stored
from pairwise import few
from resize import Resize
from scipy import sparse

import dnmf
from dnmf.cli.errors import EXPECTED
from dnmf.events import PassDone
from dnmf.factorization.resume import resume
from dnmf.parameters import DECLARED
from dnmf.run import lease
from dnmf.run.record import FORMAT, Record, Start, State, StoredX
from dnmf.stores.local_disk import writing

SHAPE, CHUNKS = (4000, 30), (250, 30)


def sentence(done: Done) -> str:
    """What a command that failed said: one line, but for the one that says how to go on."""
    told, *more = done.stderr.splitlines()
    assert done.returncode == 1, done.stderr
    assert all(line.startswith("`dnmf resume") for line in more), done.stderr
    assert len(more) < 2
    return told


def digest(folder: Path) -> str:
    """Of all files below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return sha256(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)).hexdigest()


def written(path: Path, **how: Any) -> zarr.Array[Any]:
    X = zarr.create_array(str(path), shape=SHAPE, chunks=CHUNKS, dtype="f4", **how)
    rng = np.random.default_rng(0)
    X[...] = rng.random((SHAPE[0], 4)) @ rng.random((4, SHAPE[1])) + 0.1 * rng.random(SHAPE)
    return X


def flip(file: Path, at: int = 1001) -> None:
    """Flip one bit of a file."""
    content = bytearray(file.read_bytes())
    content[at] ^= 4
    file.write_bytes(content)


@pytest.fixture
def small_strips(sizes: Resize) -> None:
    """Strips of some 64 KiB, so that small matrices have many."""
    sizes(small_strip=2**12, worthwhile_strip=2**12, large_strip=2**16)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which no test may change; its X is beside it."""
    folder = tmp_path_factory.mktemp("good")
    written(folder / "x.zarr")
    dnmf.factorize(str(folder / "x.zarr"), 3, out=folder / "run.zarr", max_iter=3, tol=0, snapshot_every=1)
    return folder / "run.zarr"


# X.


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_chunk_is_one_sentence_and_a_run_made_before_stays(
    tmp_path: Path, good: Path, address: str, damage: str
) -> None:
    written(tmp_path / "x.zarr", compressors=[zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()])
    chunk = tmp_path / "x.zarr" / "c" / "3" / "0"
    flip(chunk) if damage == "flipped" else chunk.write_bytes(chunk.read_bytes()[:1000])
    before = digest(good)
    shutil.copytree(good, tmp_path / "run.zarr")
    told = sentence(
        run("factorize", tmp_path / "x.zarr", "--rank", 3, "--out", tmp_path / "new.zarr", "--scheduler", address)
    )
    assert told.startswith("rows 0 to 3999 of X cannot be read (")
    assert told.endswith("): a chunk is damaged or gone; write it again")
    assert run("factorize", tmp_path / "x.zarr", "--rank", 3, "--out", tmp_path / "run.zarr").returncode == 1
    assert digest(tmp_path / "run.zarr") == digest(good) == before
    record = zarr.open_group(str(tmp_path / "new.zarr"), mode="r").attrs["dnmf"]
    assert (record["status"], record["stopped"]) == ("stopped", f"failed: {told}")


def test_a_missing_chunk_is_the_fill_value_is_counted_and_can_be_refused(tmp_path: Path, address: str) -> None:
    written(tmp_path / "x.zarr", fill_value=2)
    gone = tmp_path / "x.zarr" / "c" / "3" / "0"
    gone.unlink()
    told = run("info", tmp_path / "x.zarr")
    assert told.returncode == 0, told.stderr
    assert f"missing         1 of 16 chunks, read as 2.0; the first is {gone}" in told.stdout
    words = ("factorize", tmp_path / "x.zarr", "--rank", 3, "--out", tmp_path / "run.zarr", "--scheduler", address)
    assert sentence(run(*words, "--strict")) == (
        f"{tmp_path / 'x.zarr'} lacks 1 of 16 chunks ({gone}), and strict forbids that: write them again, or, if they "
        f"hold nothing but the fill value 2.0, leave out --strict (strict=True)"
    )
    assert not (tmp_path / "run.zarr").exists()
    with pytest.warns(UserWarning, match=r"lacks 1 of 16 chunks \(the first is .*/c/3/0\)"):
        filled = dnmf.factorize(str(tmp_path / "x.zarr"), 3, max_iter=2)
    X = zarr.open_array(str(tmp_path / "x.zarr"))[...]
    assert (X[750:1000] == 2).all()
    np.testing.assert_array_equal(filled.V, dnmf.factorize(X, 3, max_iter=2).V)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({}, "0 of 16 chunks"),
        ({"shards": (1000, 30)}, "0 of 4 shards"),
        ({"shards": (3000, 30)}, "0 of 2 shards"),
        ({"zarr_format": 2}, "0 of 16 chunks"),
    ],
)
def test_a_complete_matrix_is_not_refused(tmp_path: Path, how: dict[str, Any], told: str) -> None:
    from dnmf.report.facts import matrix_facts  # noqa: PLC0415, it imports Zarr

    X = written(tmp_path / "x.zarr", **how)
    assert matrix_facts(str(tmp_path / "x.zarr"))["missing"] == told
    assert dnmf.factorize(X, 3, max_iter=1, strict=True).reads == 1
    shutil.rmtree(tmp_path / "x.zarr" / "c") if how.get("zarr_format") != 2 else (tmp_path / "x.zarr" / "0.0").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks \d+ of \d+ (chunks|shards) \(.*[/.]0\), and strict forbids"):
        dnmf.factorize(X, 3, max_iter=1, strict=True)


def test_strict_is_for_stores() -> None:
    with pytest.raises(ValueError, match="strict is for X in a store, and X is an array in memory: leave it out"):
        dnmf.factorize(np.ones((4, 3)), 1, strict=True)


@pytest.mark.parametrize("member", ["data", "indices", "indptr"])
def test_a_sparse_matrix_that_lacks_a_chunk_is_counted_and_refused(tmp_path: Path, member: str) -> None:
    path = sparse_stored(tmp_path / "x.zarr", sparse.random(400, 300, 0.05, "csr", "f4", random_state=0))
    (tmp_path / "x.zarr" / member / "c" / "2").unlink()
    with pytest.raises((ValueError, OSError), match=r"damaged|gone|lacks 1 of"):
        dnmf.factorize(path, 2, strict=True)
    with pytest.raises((ValueError, OSError), match=r"damaged|gone"):
        dnmf.factorize(path, 2)
    if member != "indptr":
        from dnmf.report.facts import matrix_facts  # noqa: PLC0415, it imports Zarr

        assert matrix_facts(path)["missing"].startswith("1 of 124 chunks, read as 0")


@pytest.mark.long
def test_a_bit_that_flips_between_two_starts_is_told(tmp_path: Path, address: str) -> None:
    X, out = tmp_path / "x.zarr", tmp_path / "run.zarr"
    written(X, compressors=None)
    there = ("--quiet", "--scheduler", address)
    begun = run("factorize", X, "--rank", 3, "--out", out, "--max-iter", 2, "--tol", 0, *there)
    assert begun.returncode == 0, begun.stderr
    before = dnmf.open_run(out)
    flip(X / "c" / "9" / "0")
    told = sentence(run("resume", out, "--max-iter", 5, *there))
    assert told == (
        "rows 0 to 3999 of X are not what they were when they were first read: X was written to since then, or a "
        "chunk is damaged; put it right and resume, or start again"
    )
    after = dnmf.open_run(out)
    assert after.record["status"] == "stopped"
    assert after.record["iteration"] == before.record["iteration"] == 2
    np.testing.assert_array_equal(after.V, before.V)
    flip(X / "c" / "9" / "0")
    assert resume(out, max_iter=3).record["iteration"] == 3


@pytest.mark.long
@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("change", ["bit", "whole"])
def test_a_matrix_that_changes_while_it_is_read_is_told_and_the_last_generation_stays(
    tmp_path: Path, change: str
) -> None:
    X, out, seen = written(tmp_path / "x.zarr", compressors=None), tmp_path / "run.zarr", []

    def listen(event: Any) -> None:
        if isinstance(event, PassDone):
            seen.append(event)
            if event.iteration == 3 and change == "bit":
                flip(tmp_path / "x.zarr" / "c" / "9" / "0")
            elif event.iteration == 3:
                X[...] = np.random.default_rng(1).random(SHAPE)

    which = r"rows \d+ to \d+ of X" + ("" if change == "bit" else r" and \d+ more of \d+ strips")
    with pytest.raises(OSError, match=f"^{which} are not what they were when they were first read"):
        dnmf.factorize(X, 3, out=out, cache=False, tol=0, max_iter=9, checkpoint_every=1, listeners=[listen])
    left = dnmf.open_run(out)
    assert left.record["status"] == "stopped"
    assert left.record["iteration"] == len(seen) == 3
    assert left.loss == seen[-1].loss
    assert np.isfinite(np.asarray(left.W)).all()


# Disks.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def long_matrix(tmp_path: Path) -> Path:
    """X whose W of rank 3 is 240 kB, in eight chunks."""
    X = zarr.create_array(str(tmp_path / "long.zarr"), shape=(20_000, 8), chunks=(2500, 8), dtype="f4")
    X[...] = np.random.default_rng(0).random(X.shape)
    return tmp_path / "long.zarr"


@pytest.mark.usefixtures("small_strips")
@pytest.mark.parametrize("where", few(["threads", "cluster"], 1))
def test_a_disk_that_fills_up_is_one_sentence_and_the_last_generation_stays(
    request: pytest.FixtureRequest, small_disk: Path, long_matrix: Path, where: str
) -> None:
    if where == "cluster":
        request.getfixturevalue("client")
    out, ballast = small_disk / "run.zarr", small_disk / "ballast"

    def fill(event: Any) -> None:
        if isinstance(event, PassDone) and event.iteration == 2:
            free = shutil.disk_usage(small_disk).free
            ballast.write_bytes(bytes(free - 100_000))

    how: dict[str, Any] = {"init": "random", "tol": 0, "max_iter": 6, "checkpoint_every": 1}
    with pytest.raises(OSError, match=rf"^{out} cannot be written: its disk is full; make room$"):
        dnmf.factorize(str(long_matrix), 3, out=out, listeners=[fill], **how)
    ballast.unlink()
    left = dnmf.open_run(out)
    assert left.record["status"] == "stopped"
    assert left.record["iteration"] >= 1
    assert np.isfinite(np.asarray(left.W)).all()
    whole = resume(out)
    assert whole.record["iteration"] == 6
    assert whole.loss <= left.loss


def test_a_full_and_a_read_only_disk_are_told_in_a_sentence(
    small_disk: Path, long_matrix: Path, good: Path, address: str
) -> None:
    out = small_disk / "run.zarr"
    shutil.copytree(good, small_disk / "good.zarr")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - 150_000))
    asked = ("factorize", long_matrix, "--rank", 3, "--quiet", "--scheduler", address, "--out")
    assert sentence(run(*asked, out)).endswith(f"{out} cannot be written: its disk is full; make room")
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    told = sentence(run(*asked, small_disk / "other.zarr"))
    assert "other.zarr" in told
    assert told.endswith("its disk is read-only; choose another place, or mount it for writing")
    before = digest(small_disk / "good.zarr")
    assert "its disk is read-only" in sentence(
        run("resume", small_disk / "good.zarr", "--max-iter", 9, "--quiet", "--scheduler", address)
    )
    assert digest(small_disk / "good.zarr") == before
    assert dnmf.open_run(small_disk / "good.zarr").record["status"] == "finished"


def test_other_errors_of_writing_stay_what_they_are() -> None:
    with pytest.raises(PermissionError, match="no"), writing("here"):
        raise PermissionError(13, "no")


# Runs.


def changed(run: Path, member: str, path: str, value: Any) -> None:
    """Replace, or with ... remove, one value of a zarr.json."""
    file = run / member / "zarr.json"
    content = json.loads(file.read_text())
    set_at(content, path, value)
    file.write_text(json.dumps(content))


def opened(path: Path) -> dnmf.Factorization:
    """A run, opened, and its W read; no more than a little memory may be asked for."""
    tracemalloc.start()
    try:
        found = dnmf.open_run(path)
        np.asarray(found.W)
        return found
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**26


HUGE = 10**12
HOSTILE: dict[str, tuple[str, str, Any, str]] = {
    "status": ("", "attributes.dnmf.status", 7, "its record has status 7, and one of running, finished, stopped is"),
    "no status": ("", "attributes.dnmf.status", ..., "its record has no status, and one of running"),
    "record": ("", "attributes.dnmf", ["format", 1], r"its record is \['format', 1\], and an object is required"),
    "format": ("", "attributes.dnmf.format", "1", "its record has format '1', and an integer of at least 1 is"),
    "true": ("", "attributes.dnmf.format", True, "its record has format True"),
    "newer": (
        "",
        "attributes.dnmf.format",
        FORMAT + 1,
        f"has format {FORMAT + 1}, this dnmf reads up to {FORMAT}: install",
    ),
    "climbs": ("", "attributes.dnmf.at", "../good", r"its record has at '\.\./good', and the path of a generation"),
    "deep": ("", "attributes.dnmf.at", "generations/../../x", "its record has at 'generations/../../x'"),
    "absolute": ("", "attributes.dnmf.at", "/etc", "its record has at '/etc'"),
    "gone": ("", "attributes.dnmf.at", "generations/000001-x", "there is no generations/000001-x/loss in .*: the run"),
    "state": ("", "attributes.dnmf.state.next", "generations/a/../../next", "its record has state.next"),
    "rank": ("", "attributes.dnmf.parameters.rank", -3, "its record has parameters whose rank is -3: an integer of at"),
    "wrong rank": ("", "attributes.dnmf.parameters.rank", 4, r"V has shape \(3, 30\) and dtype float32, and shape \(4"),
    "columns": (
        "",
        "attributes.dnmf.x.shape",
        [4000, HUGE],
        r"V has shape \(3, 30\) .* \(3, 1000000000000\) of",
    ),
    "rows": ("", "attributes.dnmf.x.shape", [HUGE, 30], "cuts 1000000000000 rows into strips of 4000"),
    "no shape": ("", "attributes.dnmf.x.shape", "4000", "its record has x.shape '4000', and two positive integers"),
    "dtype": ("", "attributes.dnmf.x.dtype", "object", "its record has x.dtype 'object', and the name of a dtype"),
    "passes": ("", "attributes.dnmf.iteration", HUGE, "its record has iteration 1000000000000, and an integer"),
    "more passes": ("", "attributes.dnmf.iteration", 4, r"loss has shape \(3,\) and dtype float64, and shape \(4\)"),
    "start": ("", "attributes.dnmf.start", None, "its record names a generation, and no pass, no start"),
    "group": ("", "node_type", "array", "is not a run of dnmf"),
    "V is a group": ("V", "node_type", "group", r"V is (a group, and an array of shape|no array that dnmf wrote)"),
    "V is ints": ("V", "data_type", "int32", "is no array that dnmf wrote|and shape .* of kind f is required"),
    "V is odd": ("V", "shape", "all", "is no array that dnmf wrote"),
    "V of codecs": ("V", "codecs", [{"name": "pickle"}], "is no array that dnmf wrote"),
    "loss is long": ("loss", "shape", [HUGE], r"loss has shape \(1000000000000,\)"),
    "snapshots": ("snapshots", "shape", [HUGE, 3, 30], r"snapshots has shape \(1000000000000, 3, 30\)"),
    "chunks of W": ("W", "chunk_grid.configuration.chunk_shape", [1000, 1], "chunks of W are missing in"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_that_dnmf_did_not_write_is_refused_in_a_sentence(tmp_path: Path, good: Path, name: str) -> None:
    member, path, value, text = HOSTILE[name]
    shutil.copytree(good, tmp_path / "run.zarr")
    changed(tmp_path / "run.zarr", member, path, value)
    with pytest.raises(EXPECTED, match=text):
        opened(tmp_path / "run.zarr")


def test_a_run_with_absurd_factors_that_agree_with_its_record_is_refused(tmp_path: Path, good: Path) -> None:
    for axis, name, rows in ((1, "V", [3, HUGE]), (0, "W", [HUGE, 3])):
        out = tmp_path / f"{name}.zarr"
        shutil.copytree(good, out)
        shape = [4000, HUGE] if axis else [HUGE, 30]
        changed(out, "", "attributes.dnmf.x.shape", shape)
        changed(out, "", "attributes.dnmf.state.height", 2**40)
        changed(out, name, "shape", rows)
        changed(out, name, "chunk_grid.configuration.chunk_shape", rows)
        with pytest.raises(EXPECTED):
            # W is opened as it is, and read when it is asked for.
            opened(out) if axis else np.asarray(dnmf.open_run(out).W)


def test_the_command_line_says_it_alone(tmp_path: Path, good: Path) -> None:
    shutil.copytree(good, tmp_path / "run.zarr")
    changed(tmp_path / "run.zarr", "", "attributes.dnmf.format", FORMAT + 1)
    assert sentence(run("info", tmp_path / "run.zarr")) == (
        f"{tmp_path / 'run.zarr'} has format {FORMAT + 1}, this dnmf reads up to {FORMAT}: install a newer dnmf to "
        f"open it"
    )
    changed(tmp_path / "run.zarr", "", "attributes.dnmf.format", FORMAT)
    changed(tmp_path / "run.zarr", "", "attributes.dnmf.status", 7)
    assert sentence(run("info", tmp_path / "run.zarr")) == (
        f"{tmp_path / 'run.zarr'} is not a run that dnmf wrote: its record has status 7, and one of running, finished, "
        f"stopped is required"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)
INSIDE = {
    "x": StoredX.__struct_fields__,
    "start": Start.__struct_fields__,
    "state": State.__struct_fields__,
    "parameters": DECLARED,
}
VALUES = [
    *(f"attributes.dnmf.{name}" for name in Record.__struct_fields__),
    *(f"attributes.dnmf.{name}.{inside}" for name, members in INSIDE.items() for inside in members),
]


@pytest.fixture(scope="module")
def victim(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run, every file of which is written anew for every example."""
    copy = tmp_path_factory.mktemp("victim") / "run.zarr"
    shutil.copytree(good, copy)
    return copy


def survives(good: Path, victim: Path, member: str, change: Callable[[], None]) -> None:
    """Opening the run succeeds or fails as expected, whatever it holds."""
    shutil.copy(good / member / "zarr.json", victim / member / "zarr.json")
    try:
        change()
        with suppress(EXPECTED):
            opened(victim)
    finally:
        shutil.copy(good / member / "zarr.json", victim / member / "zarr.json")


@given(path=st.sampled_from(VALUES), value=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(path="attributes.dnmf.x.nbytes", value=0)
@example(path="attributes.dnmf", value=None)
def test_no_value_of_a_record_leads_to_anything_but_a_sentence(good: Path, victim: Path, path: str, value: Any) -> None:
    survives(good, victim, "", lambda: changed(victim, "", path, value))


@given(
    member=st.sampled_from(["V", "W", "loss", "snapshots", "snapshot_pass"]),
    path=st.sampled_from(["shape", "chunk_grid", "data_type", "fill_value", "codecs", "node_type", "zarr_format",
                          "dimension_names", "chunk_grid.configuration.chunk_shape", "chunk_key_encoding"]),
    value=JSON | st.lists(st.integers(0, HUGE), min_size=1, max_size=3),
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_metadata_of_an_array_leads_to_anything_but_a_sentence(
    good: Path, victim: Path, member: str, path: str, value: Any
) -> None:
    survives(good, victim, member, lambda: changed(victim, member, path, value))


TOLD = {"strips": 3, "done": 1, "since": 2.0, "nbytes": 4, "max_iter": 5, "passes": 1, "loss": 0.5,
        "relative_error": 0.1, "seconds": 1.5, "iteration": 2}  # fmt: skip
LEASE = {"token": "t", "host": "h", "pid": 7, "started": 1.0, "beat": 2.0, "progress": TOLD}


@given(path=st.sampled_from([*LEASE, *(f"progress.{name}" for name in TOLD)]), value=JSON | st.just(...))
@example(path="pid", value=10**400)
@example(path="progress.seconds", value=0)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_lease_leads_to_anything_but_a_sentence(good: Path, victim: Path, path: str, value: Any) -> None:
    content = json.loads((good / "lease" / "zarr.json").read_text()) | {"attributes": LEASE}
    record = json.loads((good / "zarr.json").read_text())
    record["attributes"]["dnmf"]["status"] = "running"
    (victim / "zarr.json").write_text(json.dumps(record))
    try:
        (victim / "lease" / "zarr.json").write_text(json.dumps(content))
        changed(victim, "lease", f"attributes.{path}", value)
        for ask in (dnmf.status, lambda run: lease.check_free(zarr.open_group(str(run), mode="r"))):
            with suppress(EXPECTED):
                ask(victim)
    finally:
        for name in ("zarr.json", "lease/zarr.json"):
            shutil.copy(good / name, victim / name)


def test_what_is_no_lease_is_told(tmp_path: Path, good: Path) -> None:
    shutil.copytree(good, tmp_path / "run.zarr")
    changed(tmp_path / "run.zarr", "lease", "attributes", LEASE | {"pid": "7"})
    assert sentence(run("status", tmp_path / "run.zarr")) == (
        f"{tmp_path / 'run.zarr'} is not a run that dnmf wrote: its lease has pid '7', and an integer of at "
        f"least 1 and at most 2147483648 is required"
    )


@pytest.mark.parametrize("name", ["V", "loss", "snapshots"])
@pytest.mark.parametrize("damage", ["gone", "truncated"])
def test_a_chunk_of_a_run_that_is_damaged_or_gone_is_told(tmp_path: Path, good: Path, name: str, damage: str) -> None:
    shutil.copytree(good, tmp_path / "run.zarr")
    chunk = min(path for path in (tmp_path / "run.zarr" / name / "c").rglob("*") if path.is_file())
    chunk.unlink() if damage == "gone" else chunk.write_bytes(chunk.read_bytes()[:-9])
    text = f"{name} are missing in|{name} is missing in" if damage == "gone" else f"{name} cannot be read"
    with pytest.raises(OSError, match=text):
        dnmf.open_run(tmp_path / "run.zarr")


SAMPLES: dict[str, tuple[str, str, Any]] = {
    "axis": ("sample", "attributes.axis", 7),
    "no size": ("sample", "attributes.size", ...),
    "norm": ("sample", "attributes.norm", "much"),
    "rows": ("sample/rows", "shape", [HUGE, 30]),
    "index": ("sample/index", "shape", [HUGE]),
    "keys": ("sample/keys", "data_type", "int64"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_kept_sample_that_dnmf_did_not_write_is_refused(tmp_path: Path, good: Path, name: str) -> None:
    shutil.copytree(good, tmp_path / "run.zarr")
    changed(tmp_path / "run.zarr", *SAMPLES[name])
    with pytest.raises(EXPECTED, match=r"damaged|no sample that dnmf wrote"):
        dnmf.factorize(str(good.parent / "x.zarr"), 2, sample=tmp_path / "run.zarr")
