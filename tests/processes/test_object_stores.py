"""X and runs behind URLs: a real S3 server on loopback, a web server, memory; what travels, and what is told."""

import json
import os
import pickle
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, Thread

import anndata
import cloudpickle
import numpy as np
import pytest
import zarr
from anndata_stores import written_by_anndata
from commands import command
from obstore.fsspec import FsspecStore as FsspecFiles
from obstore.store import LocalStore as ObstoreFolder
from obstore.store import S3Store
from scipy import sparse
from zarr.storage import FsspecStore, ObjectStore

from dnmf import factorize, open_run, transform
from dnmf.events import PassDone
from dnmf.formats.convert import convert
from dnmf.matrix.opening import open_matrix
from dnmf.run import lease
from dnmf.run.factors import Factor
from dnmf.run.generations import drop_generations, new_generation
from dnmf.run.lease import Busy, Lease
from dnmf.run.opening import check_out, create_run
from dnmf.run.opening import open_group as open_run_group
from dnmf.stores.missing_chunks import lacks_chunks
from dnmf.stores.paths import absolute
from dnmf.stores.places import occupied, place, remove
from dnmf.stores.url_store import URLStore

KEY, SECRET = "AKIDTHATISNOTTOLD", "wJalrXUt/SecretThatIsNotTold"

# What is said to a store of one's own, of the server here.
HTTP = {"allow_http": True}

# A machine without S3: no file and no service of Amazon's is asked for credentials.
ALONE = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def s3_server(**environment):
    """The address of a server of its own process; with INITIAL_NO_AUTH_ACTION_COUNT it knows who may do what."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env={**os.environ, **environment}, **quiet) as process:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"{url}/moto-api/", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            process.kill()


@pytest.fixture(scope="module")
def s3():
    """The environment in which s3://bucket is there, set while the tests of this module run."""
    with s3_server() as url, pytest.MonkeyPatch.context() as patch:
        address = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}
        environment = {**ALONE, **address, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        for name, value in environment.items():
            patch.setenv(name, value)
        subprocess.run([sys.executable, "-c", MAKE_BUCKET], check=True, timeout=60)
        yield environment


MAKE_BUCKET = "import boto3; boto3.client('s3').create_bucket(Bucket='bucket')"


@pytest.fixture
def url(s3, request):
    """A place in the bucket for this test alone."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return f"s3://bucket/{name}"


@pytest.fixture
def workers(s3, client):
    """The shared cluster, whose workers have the environment for the length of the test."""
    client.run(lambda: os.environ.update(s3))
    yield client
    client.run(lambda: [os.environ.pop(name, None) for name in s3])


@pytest.fixture(scope="module", name="X")
def low_rank():
    rng = np.random.default_rng(0)
    return (rng.random((96, 3)) @ rng.random((3, 40)) + 0.05 * rng.random((96, 40))).astype("f4")


@pytest.fixture(scope="module")
def counts(X):
    return sparse.csr_matrix(np.where(np.quantile(X, 0.7) < X, X, 0))


def store_dense(where, X):
    zarr.create_array(where, shape=X.shape, chunks=(16, 40), dtype=X.dtype)[...] = X


def store_sparse(where, X):
    attributes = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(X.shape)}
    group = zarr.create_group(where, attributes=attributes)
    for name in ("data", "indices", "indptr"):
        values = getattr(X, name)
        group.create_array(name, shape=values.shape, chunks=(101,), dtype=values.dtype)[...] = values


def run_python(code, *arguments, environment=None, timeout=120):
    """A Python process; its environment is this one's, but for what is given: None leaves a variable out."""
    merged = {**os.environ, **(environment or {})}
    kept = {name: value for name, value in merged.items() if value is not None}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=kept, capture_output=True, text=True, timeout=timeout)


def dnmf(*arguments, environment=None):
    """The command line; in a process of its own where the environment is another: file systems are kept in this one."""
    if environment is None:
        return command(*arguments)
    return run_python("from dnmf.cli.main import main; main()", *arguments, environment=environment)


# The same as on paths


@pytest.mark.process
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_run_on_s3_is_the_run_on_a_path_bit_by_bit(kind, url, workers, tmp_path, X, counts):
    results = {}
    for where in (str(tmp_path), url):
        if kind == "dense":
            store_dense(place(f"{where}/X.zarr"), X)
        else:
            store_sparse(place(f"{where}/X.zarr"), counts)
        out = f"{where}/run.zarr"
        made = factorize(f"{where}/X.zarr", rank=3, out=out, max_iter=4, tol=0)
        rows = transform(f"{where}/X.zarr", open_run(out), out=f"{where}/W.zarr")
        results[where] = made, open_run(out), np.asarray(rows)
    (local, _, local_rows), (remote, again, rows) = results.values()
    np.testing.assert_array_equal(remote.W.compute(), local.W.compute())
    np.testing.assert_array_equal(remote.V, local.V)
    np.testing.assert_array_equal(again.W.compute(), local.W.compute())
    np.testing.assert_array_equal(rows, local_rows)
    assert again.record["x"]["path"] == f"{url}/X.zarr"
    assert remote.reads == local.reads
    # Neither generations nor probes of the output are left.
    left = [key for key in keys_below(url) if "generations/" in key or "probe" in key]
    assert [key for key in left if not key.endswith("generations/zarr.json")] == []


def keys_below(url):
    return [each["path"] for some in URLStore(url).store.list() for each in some]


@pytest.mark.process
def test_anndata_its_layers_and_an_earlier_sample_are_found_on_s3(url, workers, X, counts):
    data = anndata.AnnData(X, layers={"counts": counts})
    with written_by_anndata():
        data.write_zarr(place(f"{url}/a.zarr"))
    whole = factorize(f"{url}/a.zarr", rank=2, out=f"{url}/whole.zarr", max_iter=2)
    layer = factorize(f"{url}/a.zarr", rank=2, layer="counts", out=f"{url}/layer.zarr", max_iter=2)
    assert layer.record["x"]["path"] == f"{url}/a.zarr/layers/counts"
    assert whole.record["x"]["path"] == f"{url}/a.zarr/X"
    more = factorize(f"{url}/a.zarr", rank=3, sample=f"{url}/whole.zarr", out=f"{url}/more.zarr", max_iter=2)
    assert more.record["start"]["bytes_read"] == 0
    with pytest.raises(ValueError, match=r"is AnnData without layers/no: its layers are counts"):
        open_matrix(f"{url}/a.zarr", layer="no")
    with pytest.raises(ValueError, match="are inside one another"):
        factorize(f"{url}/a.zarr", rank=2, out=f"{url}/a.zarr/X/run")


@pytest.mark.process
def test_the_command_line_takes_urls(url, tmp_path, X, workers):
    there = ("--scheduler", workers.scheduler.address)
    np.save(tmp_path / "X.npy", X)
    assert dnmf("convert", tmp_path / "X.npy", f"{url}/X.zarr").stdout.startswith(f"{url}/X.zarr: 96 × 40 float32")
    asked = ("--rank", 2, "--max-iter", 2, "--quiet", *there)
    words = ("factorize", f"{url}/X.zarr", "--out", f"{url}/run.zarr", *asked)
    done = dnmf(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{url}/X.zarr" in dnmf("info", f"{url}/run.zarr").stdout
    rows = dnmf("transform", f"{url}/X.zarr", "--model", f"{url}/run.zarr", "--out", f"{url}/W.zarr", *there)
    assert rows.returncode == 0
    assert dnmf("plot", f"{url}/run.zarr", "--out", tmp_path / "figures").returncode == 0
    again = dnmf(*words)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.startswith(f"{url}/run.zarr exists: choose another output")


@pytest.mark.process
def test_convert_replaces_zarr_only_and_says_so(url, tmp_path, X, counts):
    np.save(tmp_path / "X.npy", X)
    sparse.save_npz(tmp_path / "X.npz", counts)
    convert(tmp_path / "X.npy", f"{url}/X.zarr")
    with pytest.raises(FileExistsError, match=r"X\.zarr exists: a new path is required"):
        convert(tmp_path / "X.npz", f"{url}/X.zarr")
    made = convert(tmp_path / "X.npz", f"{url}/X.zarr", overwrite=True)
    assert made.attrs["encoding-type"] == "csr_matrix"
    np.testing.assert_array_equal(made["data"][...], counts.data)
    with pytest.raises(FileExistsError, match="is not a Zarr array or group"):
        convert(tmp_path / "X.npy", url, overwrite=True)
    with pytest.raises(ValueError, match="is a whole bucket, which is not written to"):
        convert(tmp_path / "X.npy", "s3://bucket", overwrite=True)


# Commits without rename


WRITER = """
import os, signal, sys
from dnmf import factorize
from dnmf.run import keeper

write, dies, named = keeper.write_record, int(sys.argv[3]), set()

def write_record(group, record, *more, **options):
    if record.at:
        named.add(record.at)
    if len(named) == dies:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(group, record, *more, **options)

keeper.write_record = write_record
factorize(sys.argv[1], rank=3, out=sys.argv[2], max_iter=8, tol=0, checkpoint_every=1)
"""


def check_whole(result, X):
    """A state that is whole: W, V, loss, history and record are those of one pass."""
    W = np.asarray(result.W.compute(scheduler="synchronous"), "f8")
    assert len(result.history["loss"]) == result.record["iteration"]
    assert np.square(X - W @ result.V).sum() == pytest.approx(result.loss, rel=1e-3)


@pytest.mark.process
def test_a_run_killed_before_a_generation_is_named_stays_readable(url, X):
    store_dense(place(f"{url}/X.zarr"), X)
    killed = run_python(WRITER, f"{url}/X.zarr", f"{url}/run.zarr", 2)
    assert killed.returncode == -9, killed.stderr
    written = {key.split("-")[0] for key in keys_below(f"{url}/run.zarr/generations")}
    result = open_run(f"{url}/run.zarr")
    assert 1 <= result.record["iteration"] < max(int(name) for name in written if name.isdecimal())
    check_whole(result, X)


@pytest.mark.process
def test_a_reader_of_a_run_that_goes_on_sees_whole_states(url, X):
    store_dense(place(f"{url}/X.zarr"), X)
    out, seen, told = f"{url}/run.zarr", set(), []
    with subprocess.Popen([sys.executable, "-c", WRITER, f"{url}/X.zarr", out, "-1"]) as writer:
        while writer.poll() is None:
            try:
                result = open_run(out)
                check_whole(result, X)
            except (FileNotFoundError, ValueError) as error:
                told.append(str(error))
            else:
                seen.add(result.record["iteration"])
    assert writer.returncode == 0
    # Not begun, or gone on by two generations while it was read.
    allowed = ("no run", "no whole generation yet", "went on since")
    assert [text for text in told if not any(known in text for known in allowed)] == []
    assert open_run(out).record["iteration"] == 8
    assert len(seen) > 2, "states between the first and the last were read"


# The lease


@pytest.mark.process
def test_of_several_that_take_a_lease_at_once_one_has_it(url):
    group = create_run(f"{url}/run.zarr", overwrite=False)
    ready, held = Barrier(6), []

    def take(_):
        ready.wait(60)
        with suppress(Busy), Lease(open_run_group(f"{url}/run.zarr", mode="r+")[0]) as mine:
            held.append(mine)
            time.sleep(2)
            mine.check()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(take, range(6)))
    assert len(held) == 1
    assert lease.holder(group) is None
    with Lease(group) as mine:
        mine.check()
        found = lease.holder(group)
        assert found.turn == 2
        with pytest.raises(Busy, match="is at work on the run s3://"), Lease(group):
            pass
    assert [key for key in keys_below(f"{url}/run.zarr") if "turn" in key] == []


class Unconditional(SimpleHTTPRequestHandler):
    """A server that takes what it is sent, and knows no conditions."""

    def do_PUT(self):
        path = Path(self.translate_path(self.path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_without_conditions_keeps_what_is_there(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Unconditional, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        group = zarr.create_group(
            URLStore(f"http://127.0.0.1:{server.server_address[1]}/run"), attributes={"is": "kept"}
        )
        with Lease(group) as mine:
            mine.check()
            with pytest.raises(Busy, match="is at work on the run http://"), Lease(group):
                pass
        server.shutdown()
    assert json.loads((tmp_path / "run" / "zarr.json").read_text())["attributes"] == {"is": "kept"}


# Listings


class OldListing(URLStore):
    """A store whose listings are those of a time that has passed."""

    names: tuple[str, ...] = ()

    def with_read_only(self, read_only=False):
        return type(self)(self.url, read_only)

    async def list_dir(self, prefix):
        for name in self.names:
            yield name


@pytest.mark.process
@pytest.mark.parametrize("listed", ["nothing", "what is gone"])
def test_generations_are_dropped_whatever_a_listing_says(listed, url):
    group = create_run(f"{url}/run.zarr", overwrite=False)
    first, second, third = (new_generation(group, i) for i in range(3))
    gone = first.split("/")[1]
    del group[first]

    class Listing(OldListing):
        names = () if listed == "nothing" else (gone, third.split("/")[1], "000009-nothing")

    stale = zarr.open_group(Listing(f"{url}/run.zarr"), mode="r+")
    drop_generations(stale, [second, third])
    assert second in group
    assert third in group
    drop_generations(group, [third])
    assert second not in group
    assert third in group


@pytest.mark.process
def test_nothing_is_left_of_a_generation_that_was_half_deleted(url, X):
    """A kill between two deletions leaves chunks of what is no group any more."""
    files = f"{url}/run.zarr"

    def leave_half(event):
        if isinstance(event, PassDone):
            zarr.create_array(place(f"{files}/generations/000000-gone/V"), data=np.ones((2, 3)))
            URLStore(f"{files}/generations/000000-gone/V").store.delete("zarr.json")

    factorize(X, rank=2, out=files, max_iter=2, tol=0, checkpoint_every=1, listeners=[leave_half])
    assert keys_below(f"{files}/generations") == ["zarr.json"]


@pytest.mark.process
def test_what_a_listing_leaves_out_of_an_old_run_is_not_taken_for_the_new_one(url, X):
    factorize(X, rank=2, out=f"{url}/run.zarr", max_iter=1)
    files, before = f"{url}/run.zarr", keys_below(f"{url}/run.zarr")
    assert any(key.endswith("W/zarr.json") for key in before)
    again = factorize(X, rank=2, out=files, max_iter=1, keep_W=False, overwrite=True)
    assert again.W is None
    assert not any(key.endswith("W/zarr.json") for key in keys_below(files))


@pytest.mark.process
def test_a_prefix_of_another_name_is_left_alone(url, X):
    factorize(X, rank=2, out=f"{url}/run", max_iter=1)
    factorize(X, rank=2, out=f"{url}/run2", max_iter=1)
    factorize(X, rank=2, out=f"{url}/run", max_iter=1, overwrite=True)
    assert open_run(f"{url}/run2").record["status"] == "finished"
    remove(f"{url}/run")
    assert not occupied(f"{url}/run")
    assert occupied(f"{url}/run2")


@pytest.mark.process
def test_chunks_are_counted_through_a_callers_file_system(url, counts):
    files = FsspecFiles("s3", client_options=HTTP, asynchronous=True)
    store = FsspecStore(files, path=f"{url}/X.zarr".removeprefix("s3://"))
    group = zarr.create_group(store)
    data = group.create_array("data", shape=(300,), chunks=(10,), dtype="f4")
    assert lacks_chunks(data)
    data[...] = 1
    assert not lacks_chunks(data)


@pytest.mark.process
@pytest.mark.parametrize("what", ["an array", "other objects"])
def test_an_output_on_what_is_no_run_is_refused(what, url, X):
    if what == "an array":
        store_dense(place(f"{url}/there"), X)
    else:
        store_dense(place(f"{url}/there/below"), X)
    with pytest.raises(FileExistsError, match="exists and is not a run of dnmf"):
        check_out(f"{url}/there", overwrite=True)
    with pytest.raises(ValueError, match="is not a run of dnmf"):
        open_run(f"{url}/there")
    with pytest.raises(FileNotFoundError, match="there is no run at"):
        open_run(f"{url}/not-there")
    with pytest.raises(ValueError, match="is a whole bucket"):
        check_out("s3://bucket", overwrite=True)


# What travels


def check_no_secrets(*texts):
    for text in texts:
        text = text if isinstance(text, bytes) else str(text).encode()
        assert KEY.encode() not in text
        assert SECRET.encode() not in text


@pytest.mark.process
def test_what_travels_carries_the_url_and_no_credentials(url, X, counts):
    store_dense(place(f"{url}/X.zarr"), X)
    store_sparse(place(f"{url}/S.zarr"), counts)
    group = create_run(f"{url}/run.zarr", overwrite=False)
    dense, thin = open_matrix(f"{url}/X.zarr"), open_matrix(f"{url}/S.zarr")
    factor = Factor("W", (96, 2), (16, 2), np.dtype("f4")).array(group, "generations/a")
    for thing in (dense, thin, dense.strips(0, check=True), thin.strips(0, check=True), factor, group):
        for dumps in (pickle.dumps, cloudpickle.dumps):
            sent = dumps(thing)
            assert url.encode() in sent
            check_no_secrets(sent, repr(thing))
    again = pickle.loads(pickle.dumps(dense.strips(0, check=True)))
    np.testing.assert_array_equal(again[16:48, 0:40], X[16:48])
    assert pickle.loads(pickle.dumps(group)).attrs.asdict() == group.attrs.asdict()


TASKS = """
import logging, pickle, sys
from dnmf import factorize, local_cluster

def specifications(dask_scheduler):
    return [pickle.dumps(task.run_spec) for task in dask_scheduler.tasks.values() if task.run_spec is not None]

logging.basicConfig(level=logging.INFO)
tasks = []
with local_cluster(workers=2) as client:
    listener = lambda event: tasks.extend(client.run_on_scheduler(specifications))
    result = factorize(sys.argv[1], rank=2, out=sys.argv[2], max_iter=3, tol=0, listeners=[listener])
    tasks.append(pickle.dumps(result.W.dask))
    print(result.record, repr(result.W))
open(sys.argv[3], "wb").write(b"".join(tasks))
"""


@pytest.mark.process
@pytest.mark.parametrize(
    "names", [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("aws_access_key_id", "aws_secret_access_key")]
)
def test_credentials_are_in_no_task_no_run_and_no_log(names, url, tmp_path, X):
    store_dense(place(f"{url}/X.zarr"), X)
    environment = dict(zip(names, (KEY, SECRET), strict=True))
    if names[0].islower():
        # In a file, which boto3 reads.
        lines = [f"{name} = {value}" for name, value in environment.items()]
        (tmp_path / "credentials").write_text("\n".join(["[default]", *lines]))
        environment = {**NO_CREDENTIALS, "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    done = run_python(TASKS, f"{url}/X.zarr", f"{url}/run.zarr", tmp_path / "tasks", environment=environment)
    assert done.returncode == 0, done.stderr
    tasks = (tmp_path / "tasks").read_bytes()
    assert tasks.count(f"{url}/X.zarr".encode()) > 5, "tasks were captured"
    assert f"{url}/run.zarr".encode() in tasks
    check_no_secrets(tasks, done.stdout, done.stderr)
    files = zarr.open_group(place(f"{url}/run.zarr"), mode="r")
    check_no_secrets(files.attrs.asdict(), *(member.metadata for _, member in files.members(max_depth=None)))


@pytest.mark.process
def test_a_callers_store_travels_without_credentials_or_not_at_all(url, X, monkeypatch):
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # a store of one's own is told here that the server has no TLS
    store_dense(place(f"{url}/X.zarr"), X)
    inside = url.removeprefix("s3://bucket/")
    # obstore's own file system is one of fsspec's.
    bare, asked = FsspecFiles("s3", asynchronous=True), FsspecFiles("s3", client_options=HTTP, asynchronous=True)
    for files in (bare, asked):
        store = FsspecStore(files, read_only=True, path=f"bucket/{inside}/X.zarr")
        array = zarr.Array(
            zarr.AsyncArray(zarr.open(place(f"{url}/X.zarr"), mode="r").metadata, zarr.storage.StorePath(store))
        )
        assert open_matrix(array).array.store is store
        assert (open_matrix(array).location == f"{url}/X.zarr") == (files is bare)
    own = [
        FsspecStore(FsspecFiles("s3", config={"access_key_id": KEY, "secret_access_key": SECRET}, asynchronous=True)),
        ObjectStore(S3Store("bucket", prefix="x", config={"access_key_id": KEY, "secret_access_key": SECRET})),
        ObjectStore(S3Store("bucket", credential_provider=lambda: {"access_key_id": KEY, "secret_access_key": SECRET})),
    ]
    for store in own:
        array = zarr.Array(
            zarr.AsyncArray(zarr.open(place(f"{url}/X.zarr"), mode="r").metadata, zarr.storage.StorePath(store))
        )
        with pytest.raises(
            ValueError, match=r"the store of X carries credentials \((access_key_id, secret|credential_provider)"
        ) as refused:
            open_matrix(array)
        check_no_secrets(refused.value)


# What is told


@pytest.mark.parametrize(
    "bad",
    [f"s3://{KEY}:{SECRET}@bucket/X.zarr", f"s3://{KEY}@bucket/X.zarr", f"https://host/X.zarr?token={SECRET}",
     f"https://host/X.zarr?X-Amz-Signature={SECRET}", f"s3://{KEY}:{SECRET}", f"sftp://me:{SECRET}@host/X.zarr"],
)  # fmt: skip
def test_a_url_with_credentials_is_refused_and_not_repeated(bad, tmp_path):
    np.save(tmp_path / "X.npy", np.ones((2, 2)))
    calls = (
        lambda: open_matrix(bad),
        lambda: open_run(bad),
        lambda: check_out(bad, overwrite=False),
        lambda: convert(tmp_path / "X.npy", bad),
    )
    for call in calls:
        with pytest.raises(
            ValueError, match="URL with a key, a password, a token or a query in it is not taken"
        ) as refused:
            call()
        check_no_secrets(refused.value)


def test_urls_with_names_and_ports_are_taken():
    for good in ("abfs://box@account.dfs.core.windows.net/X.zarr", "http://127.0.0.1:8000/X.zarr", "s3://b/a@b.zarr"):
        assert absolute(good) == good


NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
NOBODY = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
FAILURES = {
    "no bucket to read": (None, "s3://nowhere/X.zarr", "s3://bucket/run", "there is no Zarr array at s3://nowhere/X.zarr"),
    "no bucket to write": (None, None, "s3://nowhere/run", "s3://nowhere/run"),
    "no credentials": (NO_CREDENTIALS, None, "s3://bucket/run", "is refused (NoCredentialsError)"),
    "nobody there": (NOBODY, None, "s3://bucket/run", "is not reached"),
    "no such kind": (None, "nonsense://bucket/X.zarr", "s3://bucket/run", "is of no known kind"),
}  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_of_the_store_is_one_sentence(case, url, X):
    environment, x, out, sentence = FAILURES[case]
    store_dense(place(f"{url}/X.zarr"), X)
    failed = dnmf("factorize", x or f"{url}/X.zarr", "--rank", 2, "--out", out, "--quiet", environment=environment)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1, failed.stderr
    assert sentence in failed.stderr
    check_no_secrets(failed.stderr, failed.stdout)


@pytest.mark.process
def test_a_wrong_key_is_one_sentence(s3):
    with s3_server(INITIAL_NO_AUTH_ACTION_COUNT="0") as strict:
        failed = dnmf("info", "s3://bucket/run", environment={"AWS_ENDPOINT_URL": strict})
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1, failed.stderr
    assert "s3://bucket/run is refused (403): check the credentials" in failed.stderr
    check_no_secrets(failed.stderr, failed.stdout)


@pytest.mark.process
def test_without_obstore_the_sentence_says_what_to_install(url):
    code = "import sys; sys.modules['obstore'] = None; from dnmf.cli.main import main; main()"
    failed = run_python(code, "info", f"{url}/run.zarr")
    assert (failed.returncode, failed.stderr) == (
        1, f'{url}/run.zarr cannot be opened, a package is missing here: pip install "dnmf[s3]"\n',
    )  # fmt: skip


@pytest.mark.process
def test_a_worker_without_credentials_is_named(url, X):
    store_dense(place(f"{url}/X.zarr"), X)
    code = """
import os, sys
from dnmf import factorize, local_cluster
kept = {name: os.environ.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
with local_cluster(workers=1):
    os.environ.update(kept)
    try:
        factorize(sys.argv[1], rank=2, out=sys.argv[2])
    except RuntimeError as error:
        print(error)
"""
    said = run_python(code, f"{url}/X.zarr", f"{url}/run.zarr")
    assert f"does not find X at {url}/X.zarr (1 of 1 workers do not)" in said.stdout, said.stderr


# Other stores


def test_file_urls_are_paths(tmp_path, X):
    store_dense(str(tmp_path / "X.zarr"), X)
    result = factorize(f"file://{tmp_path}/X.zarr", rank=2, out=f"file://{tmp_path}/run.zarr", max_iter=2)
    assert result.record["x"]["path"] == str(tmp_path / "X.zarr")
    assert open_run(tmp_path / "run.zarr").loss == result.loss


def test_memory_urls_work_in_this_process(X):
    store_dense(place("memory://here/X.zarr"), X)
    result = factorize("memory://here/X.zarr", rank=2, out="memory://here/run.zarr", max_iter=3, tol=0)
    again = factorize(X, rank=2, max_iter=3, tol=0)
    assert open_run("memory://here/run.zarr").loss == result.loss == pytest.approx(again.loss)
    with pytest.raises(FileExistsError, match="exists: choose another output"):
        factorize(X, rank=2, out="memory://here/run.zarr")
    assert not list(open_run_group("memory://here/run.zarr")[0]["generations"].group_keys())


@pytest.mark.process
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_x_from_a_web_server(kind, tmp_path, X, counts):
    if kind == "dense":
        store_dense(str(tmp_path / "X.zarr"), X)
    else:
        counts = sparse.csr_matrix((np.zeros_like(counts.data), counts.indices, counts.indptr), counts.shape)
        counts.data[::3] = 1
        store_sparse(str(tmp_path / "X.zarr"), counts)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/X.zarr"
        remote, local = (factorize(x, rank=2, max_iter=2) for x in (address, tmp_path / "X.zarr"))
        server.shutdown()
    assert remote.loss == local.loss


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.mark.process
def test_x_in_obstore(url, s3, workers, tmp_path, X):
    stores = {
        "folder": ObstoreFolder(tmp_path / "X.zarr", mkdir=True),
        "s3": S3Store("bucket", prefix=f"{url}/X.zarr".removeprefix("s3://bucket/"), client_options=HTTP),
    }
    for name, store in stores.items():
        store_dense(ObjectStore(store), X)
        array = zarr.open_array(ObjectStore(store, read_only=True), mode="r")
        check_no_secrets(pickle.dumps(open_matrix(array)), open_matrix(array).location)
        result = factorize(array, rank=2, out=f"{url}/{name}.zarr", max_iter=2)
        assert result.loss == factorize(X, rank=2, max_iter=2).loss
    assert Path(tmp_path / "X.zarr" / "zarr.json").exists()
