"""cluster.yaml: the kinds of clusters that a profile may name, and the keys and values of each.

What starts these clusters is in `dnmf.launch`. No key names code: no class, module, option or shell line goes through.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dask.utils import parse_bytes, parse_timedelta


@dataclass(frozen=True, slots=True)
class Profile:
    """A named cluster of cluster.yaml: its kind and the options of that kind."""

    kind: str
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Value:
    """What a key may hold: in words, and as a test."""

    required: str
    holds: Callable[[Any], bool]


def _parses(parse: Callable[[Any], Any]) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        try:
            return type(value) in (int, str) and parse(value) > 0
        except (ValueError, KeyError):
            return False

    return holds


def _line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value.strip() != ""


def _word(value: Any) -> bool:
    # Some are put on a command line as they are. Variables, as in $TMPDIR, are meant to be filled in there; nothing
    # that starts a command or an option of its own can be written with these characters.
    return isinstance(value, str) and re.fullmatch(r"[\w./~$][\w./~${}:@+-]*", value, flags=re.ASCII) is not None


def _each(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and value != [] and all(map(holds, value))


COUNT = Value("an integer of at least 1", lambda value: type(value) is int and value >= 1)


SIZE = Value("a size above 0, as in 2GiB", _parses(parse_bytes))


DURATION = Value("a time above 0, as in 10 minutes", _parses(parse_timedelta))


LINE = Value("a text of one line, in quotes where it looks like a number or a time", _line)


LINES = Value("a list of texts of one line each", _each(_line))


WORD = Value("one word of letters, digits and ._/~${}:@+- that does not start with a sign", _word)


HOSTS = Value("a list of at least two names of hosts, the scheduler's first", lambda v: _each(_word)(v) and len(v) > 1)


ADDRESS = Value("an address, as in tcp://host:8786", _line)


FILE = Value("the path of a file, seen from where the cluster.yaml is", lambda v: _line(v) and Path(v).is_file())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of cluster: its keys, which of them are needed, and the package that it needs beyond dnmf's own."""

    keys: dict[str, Value]
    needs: tuple[str, ...] = ()
    module: str = ""
    package: str = ""
    extra: str = ""
    starts: str = ""  # the class of that module, for batch systems


WAIT = {"wait": DURATION}


# Keys of batch systems have dask-jobqueue's names and meanings; its own configuration file holds for all others.
JOB = {
    **WAIT, "jobs": COUNT, "cores": COUNT, "memory": SIZE, "processes": COUNT, "job_name": LINE, "interface": WORD,
    "local_directory": WORD, "log_directory": WORD,
}  # fmt: skip


QUEUE = {**JOB, "queue": LINE, "walltime": LINE, "job_extra_directives": LINES}


ACCOUNT, PROJECT, SPEC = {"account": LINE}, {"project": LINE}, {"resource_spec": LINE}


def _jobs(starts: str, keys: dict[str, Value], *needs: str) -> Kind:
    return Kind(keys, ("jobs", "cores", "memory", *needs), "dask_jobqueue", "dask-jobqueue", "jobqueue", starts)


KINDS = {
    "local": Kind({"workers": COUNT, "threads": COUNT, "memory": SIZE}),
    "scheduler": Kind({"address": ADDRESS, "ca": FILE, "cert": FILE, "key": FILE}, ("address",)),
    "ssh": Kind(
        {**WAIT, "hosts": HOSTS, "workers": COUNT, "threads": COUNT, "memory": SIZE, "python": WORD, "username": WORD,
         "port": COUNT, "key": FILE, "known_hosts": FILE, "interface": WORD, "local_directory": WORD},
        ("hosts", "threads"), "asyncssh", "asyncssh", "ssh",
    ),
    "slurm": _jobs("SLURMCluster", {**QUEUE, **ACCOUNT, "job_cpu": COUNT, "job_mem": LINE}),
    "pbs": _jobs("PBSCluster", {**QUEUE, **ACCOUNT, **SPEC}),
    "moab": _jobs("MoabCluster", {**QUEUE, **ACCOUNT, **SPEC}),
    "sge": _jobs("SGECluster", {**QUEUE, **PROJECT, **SPEC}),
    "lsf": _jobs("LSFCluster", {**QUEUE, **PROJECT}),
    "oar": _jobs("OARCluster", {**QUEUE, **PROJECT, **SPEC, "memory_per_core_property_name": WORD}),
    # Lines of an HTCondor job may name its executable: they stay in dask-jobqueue's own configuration.
    "htcondor": _jobs("HTCondorCluster", {**JOB, "disk": SIZE}, "disk"),
    "kubernetes": Kind(
        {**WAIT, "name": WORD, "namespace": WORD, "image": WORD, "workers": COUNT, "cores": COUNT, "memory": SIZE},
        ("name", "image", "workers", "cores", "memory"), "dask_kubernetes.operator", "dask-kubernetes", "kubernetes",
    ),
}  # fmt: skip


def read_profile(where: str) -> Profile:
    """Read one profile: "cluster.yaml" (its only profile, or the one named `default`) or "cluster.yaml:NAME".

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file or profile, a kind or key is unknown, or a value is not as its key requires.
    """
    path, _, name = where.partition(":") if not Path(where).exists() else (where, "", "")
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no file {path}: give a cluster.yaml, or cluster.yaml:NAME for one profile of it"
        )
    try:
        profiles = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not plain YAML: {error}") from None
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ValueError(
            f"{path} must map names of profiles to their keys, as in `laptop: {{kind: local, workers: 2}}`"
        )
    name = name or (next(iter(profiles)) if len(profiles) == 1 else "default")
    if name not in profiles:
        raise ValueError(f"{path} has no profile {name!r}: it has {', '.join(map(str, profiles)) or 'none'}")
    return _profile(path, name, dict(profiles[name]))


def _profile(path: str, name: str, keys: dict[str, Any]) -> Profile:
    kind = keys.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{path}: profile {name} has kind {kind!r}: known kinds are {', '.join(KINDS)}")
    known, needs = KINDS[kind].keys, KINDS[kind].needs
    if unknown := sorted(map(str, set(keys) - set(known))):
        raise ValueError(f"{path}: profile {name} has an unknown key {unknown[0]!r}: kind {kind} has {sorted(known)}")
    if missing := [key for key in needs if key not in keys]:
        raise ValueError(
            f"{path}: profile {name} has no {missing[0]}: kind {kind} needs it, {known[missing[0]].required}"
        )
    for key, value in keys.items():
        if known[key] is FILE and _line(value):
            keys[key] = str(Path(path).parent / Path(value).expanduser())
        if not known[key].holds(keys[key]):
            raise ValueError(f"{path}: profile {name} has {key}: {value!r}: {known[key].required} is required")
    return Profile(kind, keys)
