"""Clusters that are started or found: real ones where this machine can, job scripts and specifications elsewhere."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import dask
import numpy as np
import pytest
import trustme
import yaml
import zarr
from commands import command
from dask_kubernetes.operator import make_cluster_spec
from distributed import Client
from distributed.system import MEMORY_LIMIT
from processes import until

import dnmf
from dnmf.clusters import scheduler as clusters_scheduler
from dnmf.clusters.current import current_client
from dnmf.clusters.kind import Started
from dnmf.clusters.local import local_cluster
from dnmf.clusters.profiles import KINDS, read_profile
from dnmf.clusters.workers import survey
from dnmf.plan.memory import MIB, Workers
from dnmf.validation import validated


def profile_of(kind, **keys):
    """A profile, as a cluster.yaml with these keys would say it."""
    return validated({"kind": kind, **keys}, KINDS[kind], lambda wrong: ValueError(str(wrong)))


@pytest.mark.long
def test_a_scheduler_that_runs_is_connected_to_and_left_running(client):
    address = client.scheduler.address
    with profile_of("scheduler", address=address).open() as connected:
        assert connected is not client
        assert current_client() is connected
        assert connected.submit(sum, [1, 2]).result() == 3
    assert current_client() is client
    assert len(client.scheduler_info(n_workers=-1)["workers"]) == 2


def soon(monkeypatch, timeout):
    """Ten seconds are for schedulers that start; where nobody comes, less will do."""
    monkeypatch.setattr(
        clusters_scheduler, "Client", lambda address, **how: Client(address, **(how | {"timeout": timeout}))
    )


def test_a_scheduler_that_is_dead_is_told(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    soon(monkeypatch, "200ms")
    with pytest.raises(ConnectionError) as refused, profile_of("scheduler", address=address).open():
        pass
    assert str(refused.value).startswith(f"no scheduler answers at {address} (")
    assert str(refused.value).endswith("): is it running, and reached from here?")
    assert current_client() is None


def test_an_address_that_is_none_is_told_and_leaves_no_client():
    profile = profile_of("scheduler", address="carrier-pigeon://7")
    with pytest.raises(ConnectionError, match="no scheduler answers at carrier-pigeon://7"), profile.open():
        pass
    left = current_client()
    if left:
        left.close()  # or the tests that follow would use it
    assert left is None


@pytest.mark.process
def test_a_local_cluster_is_as_asked_and_ends_with_its_block():
    profile = profile_of("local", workers=1, threads=2, memory="300MiB")
    with dask.config.set({"distributed.scheduler.work-stealing": True}):
        with profile.open() as opened:
            assert survey(opened, None) == Workers(1, 2, 300 * MIB, saturation=1.0, stolen=0)
            assert os.getpid() not in opened.run(os.getpid).values(), "workers are processes"
            address = opened.scheduler.address
        assert dask.config.get("distributed.scheduler.work-stealing") is True
    assert current_client() is None
    with pytest.raises(OSError, match="Timed out"):
        Client(address, timeout="200ms")


@pytest.mark.process
def test_workers_do_not_hear_ctrl_c_not_even_as_they_start_again(tight):
    def blocked():
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    assert list(tight.run(blocked).values()) == [True, True]
    tight.restart()
    assert list(tight.run(blocked).values()) == [True, True]
    assert not blocked()


def test_a_local_cluster_shares_the_memory_of_the_machine(client):
    workers = survey(client, None)
    assert (workers.count, workers.threads) == (2, 1)
    assert workers.memory == pytest.approx(MEMORY_LIMIT / 2, abs=2)


# TLS


@contextmanager
def running(folder, *commands):
    """Processes of this Python, ended with the block; their output is in files beside it."""
    started = []
    try:
        for number, words in enumerate(commands):
            with (folder / f"process-{number}.log").open("w") as log:
                started.append(subprocess.Popen([sys.executable, *map(str, words)], cwd=folder, stdout=log, stderr=log))
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """A folder with a certificate authority, certificates of it and of another, X, a TLS scheduler and a worker."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ours", "other"):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / f"{name}-ca.pem")
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    files = ("--tls-ca-file", "ours-ca.pem", "--tls-cert", "ours.pem", "--tls-key", "ours.key")
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    ours = f"kind: scheduler, address: '{address}'"
    (folder / "cluster.yaml").write_text(
        f"lab: {{{ours}, ca: ours-ca.pem, cert: ours.pem, key: ours.key}}\n"
        f"stranger: {{{ours}, ca: ours-ca.pem, cert: other.pem, key: other.key}}\n"
        f"nobody: {{{ours}, ca: ours-ca.pem}}\n"
        f"plain: {{kind: scheduler, address: 'tcp://127.0.0.1:{port}'}}\n"
        f"mixed: {{kind: scheduler, address: 'tcp://127.0.0.1:{port}', ca: ours-ca.pem}}\n"
    )
    X = np.random.default_rng(0).random((200, 30))
    zarr.create_array(str(folder / "X.zarr"), data=X, chunks=(50, 30))
    scheduler = ("-m", "distributed.cli.dask_scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", port,
                 "--no-dashboard", *files)  # fmt: skip
    worker = ("-m", "distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard", *files)
    with running(folder, scheduler, worker):
        until(lambda: "Registered to" in (folder / "process-1.log").read_text())
        yield folder


def factorized(folder, profile, code):
    """`dnmf factorize` with a profile, or with an address: what it wrote to stderr."""
    where = ("--scheduler", profile) if "://" in profile else ("--cluster", f"cluster.yaml:{profile}")
    done = command("factorize", "X.zarr", "--rank=3", "--out=run.zarr", "--overwrite", *where, cwd=folder)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.process
def test_a_tls_cluster_is_used_with_certificates(tls):
    assert factorized(tls, "lab", 0) == ""
    assert dnmf.open_run(tls / "run.zarr").record["status"] == "finished"


@pytest.mark.process
@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("stranger", r"no scheduler answers at tls://127.0.0.1:\d+ \(.*\): is it running, and reached from here, and "
                     r"are the certificates of one authority\?"),
        ("nobody", r"tls://127.0.0.1:\d+ needs certificates: give a profile of kind scheduler with ca, cert and key, "),
        ("tls://127.0.0.1:8786", r"tls://127.0.0.1:8786 needs certificates: give a profile of kind scheduler with "),
        ("plain", r"no scheduler answers at tcp://127.0.0.1:\d+ \(.*\): is it running, and reached from here\?"),
        ("mixed", r"certificates are given for tcp://127.0.0.1:\d+: they need an address that starts with tls://"),
    ],
)  # fmt: skip
def test_a_client_without_a_certificate_of_the_authority_is_refused(tls, profile, says, monkeypatch):
    soon(monkeypatch, "1s")
    told = factorized(tls, profile, 1)
    assert re.match(says, told)
    assert told.count("\n") == 1


@pytest.mark.process
def test_certificates_of_dasks_own_configuration_are_used(tls):
    """For --scheduler tls://…, which has no profile."""
    address = read_profile(f"{tls}/cluster.yaml:lab").address
    files = {"ca-file": f"{tls}/ours-ca.pem", "client.cert": f"{tls}/ours.pem", "client.key": f"{tls}/ours.key"}
    with (
        dask.config.set({f"distributed.comm.tls.{name}": path for name, path in files.items()}),
        profile_of("scheduler", address=address).open() as client,
    ):
        assert client.submit(sum, [1, 2]).result() == 3


# SSH


@pytest.fixture
def host(tmp_path, monkeypatch):
    """An SSH server on this machine that lets a key of its own in: the keys of a profile that reaches it."""
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX"):
        # A cluster that runs here sets them for its own workers; another host would not have them.
        monkeypatch.delenv(name, raising=False)
    for name in ("host", "me"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(tmp_path / name))
        key.write_public_key(str(tmp_path / f"{name}.pub"))
    port = free_port()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    with running(tmp_path, (Path(__file__).parents[1] / "support" / "ssh_server.py", port, "host", "me.pub")):
        until(lambda: "listening" in (tmp_path / "process-0.log").read_text())
        yield {"port": port, "key": "me", "known_hosts": "known"}


@pytest.mark.process
def test_workers_start_on_hosts_that_ssh_reaches_with_our_settings(host, client, tmp_path):
    keys = {"kind": "ssh", "hosts": ["127.0.0.1", "127.0.0.1"], "workers": 2, "threads": 1, "memory": "600MiB", **host}
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump({"lab": keys}))
    X = np.random.default_rng(0).random((200, 30))
    zarr.create_array(str(tmp_path / "X.zarr"), data=X, chunks=(50, 30))
    with read_profile(f"{tmp_path}/cluster.yaml").open() as there:
        assert survey(there, None) == Workers(2, 1, 600 * MIB, saturation=1.0, stolen=0, slack=32 * MIB)
        settings = there.run(os.getenv, "MALLOC_TRIM_THRESHOLD_")
        assert list(settings.values()) == [str(32 * MIB)] * 2
        result = dnmf.factorize(tmp_path / "X.zarr", 3, out=tmp_path / "run.zarr", max_iter=3)
    assert result.record["status"] == "finished"
    again = dnmf.factorize(tmp_path / "X.zarr", 3, out=tmp_path / "again.zarr", max_iter=3)
    np.testing.assert_array_equal(result.V, again.V)


@pytest.mark.process
def test_a_host_that_ssh_does_not_let_in_is_told(host, tmp_path):
    options = {"hosts": ["127.0.0.1", "127.0.0.1"], "threads": 1, "port": host["port"], "key": str(tmp_path / "host")}
    profile = profile_of("ssh", **options, known_hosts=str(tmp_path / "known"))
    says = r"the cluster of kind ssh did not start \(.*Permission denied"
    with pytest.raises(ConnectionError, match=says), profile.open():
        pass


# Batch systems and Kubernetes

JOBS = {"jobs": 2, "cores": 4, "memory": "8GiB", "processes": 2, "local_directory": "$TMPDIR"}
LINES = {
    "slurm": ({"queue": "long", "account": "lab", "walltime": "10:00:00", "job_extra_directives": ["--exclusive"]},
              ["#SBATCH -p long", "#SBATCH -A lab", "#SBATCH -t 10:00:00", "#SBATCH --cpus-per-task=4",
               "#SBATCH --mem=8G", "#SBATCH --exclusive"]),
    "pbs": ({"queue": "long", "account": "lab", "walltime": "10:00:00", "resource_spec": "select=1"},
            ["#PBS -q long", "#PBS -A lab", "#PBS -l walltime=10:00:00", "#PBS -l select=1"]),
    "moab": ({"queue": "long", "account": "lab"}, ["#PBS -q long", "#PBS -A lab"]),
    "sge": ({"queue": "long", "project": "lab", "resource_spec": "m=1G"}, ["#$ -q long", "#$ -P lab", "#$ -l m=1G"]),
    "lsf": ({"queue": "long", "project": "lab"}, ["#BSUB -q long", '#BSUB -P "lab"', "#BSUB -n 4"]),
    "oar": ({"queue": "long", "project": "lab", "memory_per_core_property_name": "not_applicable"},
            ["#OAR -q long", "#OAR --project lab"]),
    "htcondor": ({"disk": "2GiB"}, ["MY.DaskWorkerCores = 4", f"MY.DaskWorkerDisk = {2**31}"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", LINES)
def test_a_job_script_has_what_the_profile_says_and_our_settings(kind, tmp_path):
    options, lines = LINES[kind]
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump({"only": {"kind": kind, **JOBS, **options}}))
    KINDS[kind].needed()  # brings the defaults of its configuration
    own = {"scheduler-options": {"dashboard_address": ":0"}, "job-script-prologue": ["module load python"]}
    with (
        dask.config.set({f"jobqueue.{kind}.{key}": value for key, value in own.items()}),
        read_profile(str(path)).cluster() as cluster,
    ):
        script = cluster.job_script()
    assert [line for line in lines if line not in script.splitlines()] == []
    for word in ("export MALLOC_TRIM_THRESHOLD_=33554432", "module load python", "--nthreads 2", "--nworkers 2",
                 "--memory-limit 4.00GiB", "--local-directory $TMPDIR", sys.executable):  # fmt: skip
        assert word in script


@pytest.mark.parametrize("kind", LINES)
def test_a_batch_system_that_is_not_here_is_told(kind):
    submits = KINDS[kind].system().job_cls.submit_command
    if shutil.which(submits):
        pytest.skip(f"{submits} is here")
    with pytest.raises(ConnectionError) as refused, profile_of(kind, **JOBS, **LINES[kind][0]).open():
        pass
    assert str(refused.value) == (
        f"the cluster of kind {kind} did not start ({submits} is not found: run dnmf where jobs are submitted): check "
        f"its profile, and that this machine reaches it"
    )


POD = {"name": "dnmf", "namespace": "lab", "image": "registry/dnmf:1", "workers": 3, "cores": 4, "memory": "16GiB"}


def test_a_kubernetes_cluster_has_what_the_profile_says_and_our_settings():
    arguments = profile_of("kubernetes", **POD).arguments()
    assert arguments.pop("namespace") == "lab"
    spec = make_cluster_spec(**arguments)
    assert spec["metadata"]["name"] == "dnmf"
    assert spec["spec"]["worker"]["replicas"] == 3
    for part in ("worker", "scheduler"):
        (container,) = spec["spec"][part]["spec"]["containers"]
        assert container["image"] == "registry/dnmf:1"
        assert container["resources"]["limits"] == {"cpu": "4", "memory": str(16 * 2**30)}
        environ = {each["name"]: each["value"] for each in container["env"]}
        assert environ["MALLOC_TRIM_THRESHOLD_"] == str(32 * MIB)
        names = {name: value for name, value in environ.items() if name.startswith("DASK_")}
        read = dask.config.collect_env(names)["distributed"]["scheduler"]
        assert {key.replace("_", "-"): value for key, value in read.items()} == {
            "worker-saturation": 1.0,
            "work-stealing": False,
        }


@pytest.mark.process
def test_a_kubernetes_that_is_not_here_is_told(tmp_path):
    code = (
        "from dnmf.clusters.kubernetes import Kubernetes\n"
        "from dnmf.validation import validated\n"
        f"with validated({POD}, Kubernetes, ValueError).open(): pass"
    )
    environ = {**os.environ, "KUBECONFIG": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environ)
    says = r"^ConnectionError: the cluster of kind kubernetes did not start \(.+\): check its profile, and "
    assert re.search(says, done.stderr, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", [kind for kind, of in KINDS.items() if issubclass(of, Started)])
def test_a_package_that_is_missing_is_told(kind, monkeypatch):
    module, package, extra = KINDS[kind].needs
    monkeypatch.setitem(sys.modules, module, None)  # Python's own way to say that there is none
    full = {"ssh": {"hosts": ["a", "b"], "threads": 1}, "kubernetes": POD}
    with (
        pytest.raises(ImportError) as refused,
        profile_of(kind, **full.get(kind, JOBS | LINES.get(kind, [{}])[0])).open(),
    ):
        pass
    assert str(refused.value) == f"kind {kind} needs {package}: pip install 'dnmf[{extra}]'"


@pytest.mark.process
def test_no_package_of_a_kind_is_loaded_before_it_is_needed():
    packages = {"asyncssh", "dask_jobqueue", "dask_kubernetes"}
    code = f"import sys, dnmf.clusters.profiles; print({packages} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"


@pytest.mark.process
def test_a_second_cluster_has_its_own_allocator_and_this_process_keeps_its_environment() -> None:
    """What small workers need must not be outweighed by what larger ones, started here before, were given."""
    seen, before = [], dict(os.environ)
    for memory in ("1GiB", "256MiB"):
        with local_cluster(workers=1, memory=memory) as client:
            seen += client.run(os.getenv, "MALLOC_TRIM_THRESHOLD_").values()
    assert seen == [str(32 * MIB), str(2**16)]
    assert {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")} == {
        name: value for name, value in before.items() if name.startswith("MALLOC_")
    }
