"""cluster.yaml: what its profiles may say, and that they say nothing else."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from dnmf.clusters.keys import Size
from dnmf.clusters.local import Local
from dnmf.clusters.profiles import KINDS, read_profile, schema
from dnmf.clusters.scheduler import Scheduler


def needs(kind):
    """The keys that a kind cannot do without."""
    return [field.name for field in msgspec.structs.fields(KINDS[kind]) if field.required]


@pytest.fixture
def written(tmp_path):
    """Write a cluster.yaml; its path."""

    def write(text):
        (tmp_path / "cluster.yaml").write_text(text)
        return str(tmp_path / "cluster.yaml")

    return write


TWO = "default: {kind: local}\nlaptop: {kind: local, workers: 2, threads: 1, memory: 2GiB}\n"


def test_a_profile_is_the_only_one_the_default_or_the_one_that_is_named(written):
    laptop = Local(workers=2, threads=1, memory=Size(2**31))
    assert read_profile(written(TWO)) == Local()
    assert read_profile(written(TWO) + ":laptop") == laptop
    assert read_profile(written(TWO.splitlines()[1])) == laptop
    address = "tcp://10.0.0.1:8786"
    lab = f"lab: {{kind: scheduler, address: '{address}'}}"
    assert read_profile(written(lab)) == Scheduler(address=address)


def test_a_path_with_a_colon_is_a_path(tmp_path):
    path = tmp_path / "cluster:old.yaml"
    path.write_text("only: {kind: local, workers: 3}")
    assert read_profile(str(path)) == Local(workers=3)


def test_the_file_of_this_repository_is_read():
    path = str(Path(__file__).parents[2] / "cluster.yaml")
    kinds = {name: read_profile(f"{path}:{name}").kind for name in ("default", "laptop", "running")}
    assert kinds == {"default": "local", "laptop": "local", "running": "scheduler"}


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        (TWO, ":lab", "has no profile 'lab': it has default, laptop"),
        ("a: {kind: local}\nb: {kind: local}", "", "has no profile 'default': it has a, b"),
        ("{}", "", "has no profile 'default': it has none"),
        ("only: {kind: yarn}", "", f": profile only has kind 'yarn': known kinds are {', '.join(KINDS)}"),
        ("only: {workers: 2}", "", ": profile only has kind None: known kinds are local, scheduler, "),
        ("only: {kind: [local]}", "", ": profile only has kind ['local']: known kinds are local, scheduler, "),
        (
            "only: {kind: local, cores: 2}", "",
            ": profile only has an unknown key 'cores': kind local has ['memory', 'threads', 'workers']",
        ),
        (
            "only: {kind: scheduler, address: 'tcp://a:1', workers: 2}", "",
            ": profile only has an unknown key 'workers': kind scheduler has ['address', 'ca', 'cert', 'key']",
        ),
        ("only: {kind: local, 3: 2}", "", ": profile only has an unknown key '3'"),
        ("only: {kind: local, workers: }", "", "only has workers without a value: give it one, or leave the key out"),
        (
            'only: {kind: slurm, jobs: 1, cores: 1, memory: 1GiB, queue: "a\\u00ADb"}', "",
            ": profile only has queue: 'a\\xadb': a text of one line, in quotes",
        ),
        ("only: {kind: scheduler}", "", ": profile only has no address: kind scheduler needs it, an address, as in tcp://host:8786"),
        ("", "", " must map names of profiles to their keys, as in `laptop: {kind: local, workers: 2}`"),
        ("- kind: local", "", " must map names of profiles to their keys"),
        ("kind: local", "", " must map names of profiles to their keys"),
        ("only: {kind: [", "", " is not plain YAML: "),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(written, text, name, says):
    path = written(text)
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is what the table is about
        read_profile(path + name)
    assert str(refused.value).startswith(path)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "tag", ["object/apply:os.system ['touch {}']", "object/new:pathlib.Path ['{}']", "name:os.system ''"]
)
def test_a_tag_that_would_run_code_is_refused_and_runs_nothing(written, tmp_path, tag):
    path = written(f"only: {{kind: local, workers: !!python/{tag.format(tmp_path / 'ran')}}}")
    with pytest.raises(ValueError, match="is not plain YAML"):
        read_profile(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["", ":laptop"])
def test_no_file_is_refused(tmp_path, name):
    with pytest.raises(FileNotFoundError) as refused:
        read_profile(f"{tmp_path}/cluster.yaml{name}")
    assert str(refused.value) == (
        f"there is no file {tmp_path}/cluster.yaml: give a cluster.yaml, or cluster.yaml:NAME for one profile of it"
    )


FULL = {
    "local": {},
    "scheduler": {"address": "tcp://a:1"},
    "ssh": {"hosts": ["a", "b"], "threads": 2},
    "slurm": {"jobs": 1, "cores": 2, "memory": "1GiB"},
    "htcondor": {"jobs": 1, "cores": 2, "memory": "1GiB", "disk": "1GiB"},
    "kubernetes": {"name": "a", "image": "b", "workers": 1, "cores": 1, "memory": "1GiB"},
}


@pytest.mark.parametrize(
    ("kind", "key", "value", "required"),
    [
        ("local", "workers", 0, "an integer of at least 1"),
        ("local", "threads", True, "an integer of at least 1"),
        ("local", "workers", "2", "an integer of at least 1"),
        ("local", "memory", "lots", "a size with its unit, as in 2GiB, of at least 222MiB"),
        ("local", "memory", -1, "a size with its unit, as in 2GiB"),
        ("local", "memory", True, "a size with its unit, as in 2GiB"),
        ("scheduler", "address", 8786, "an address"),
        ("scheduler", "ca", "no.pem", "the path of a file"),
        ("ssh", "hosts", "a", "a list of at least two names of hosts"),
        ("ssh", "hosts", ["a"], "a list of at least two names of hosts"),
        ("ssh", "python", "python -c 'reboot'", "one word of letters"),
        ("ssh", "python", "-c", "one word of letters"),
        ("ssh", "local_directory", "/tmp/'; reboot", "one word of letters"),
        ("ssh", "local_directory", "$(reboot)", "one word of letters"),
        ("ssh", "local_directory", "`reboot`", "one word of letters"),
        ("ssh", "wait", "soon", "a time above 0"),
        ("slurm", "account", 12345, "a text of one line, in quotes where it looks like a number or a time"),
        ("slurm", "account", "lab\nreboot", "a text of one line"),
        ("slurm", "walltime", 36000, "a text of one line, in quotes where it looks like a number or a time"),
        ("slurm", "interface", "ib0 --preload=evil.py", "one word of letters"),
        ("slurm", "local_directory", "--preload=evil.py", "one word of letters"),
        ("slurm", "job_extra_directives", "--exclusive", "a list of texts of one line each"),
        ("slurm", "job_extra_directives", [], "a list of texts of one line each"),
        ("kubernetes", "image", {"name": "b"}, "one word of letters"),
    ],
)
def test_a_value_of_another_kind_is_refused(written, kind, key, value, required):
    path = written(yaml.safe_dump({"only": {"kind": kind, **FULL[kind], key: value}}))
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is what the table is about
        read_profile(path)
    assert str(refused.value).startswith(f"{path}: profile only has {key}: ")
    assert f"{value!r}: {required}" in str(refused.value)
    assert str(refused.value).endswith(" is required")


@pytest.mark.parametrize(
    ("kind", "key", "value", "says"),
    [
        ("ssh", "hosts", ["a", "b; reboot"], "hosts[1]: 'b; reboot': one word of letters, "),
        (
            "slurm",
            "job_extra_directives",
            ["-x", "-y\nreboot"],
            "job_extra_directives[1]: '-y\\nreboot': a text of one ",
        ),
        ("slurm", "queue", "long\n", "queue: 'long\\n': a text of one line"),
        ("slurm", "interface", "ib0\n", "interface: 'ib0\\n': one word of letters, "),
        ("slurm", "queue", " ", "queue: ' ': a text of one line"),
    ],
)
def test_no_value_goes_on_after_its_line_or_word(written, kind, key, value, says):
    path = written(yaml.safe_dump({"only": {"kind": kind, **FULL[kind], key: value}}))
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{path}: profile only has {says}')}.* is required$"):
        read_profile(path)


@pytest.mark.parametrize(
    "key", ["preload", "job_script_prologue", "worker_command", "scheduler_cls", "worker_class", "env", "python"]
)
@pytest.mark.parametrize("kind", [kind for kind in FULL if kind != "ssh"])
def test_no_key_names_code(written, kind, key):
    path = written(yaml.safe_dump({"only": {"kind": kind, **FULL[kind], key: "x"}}))
    with pytest.raises(ValueError, match=f"profile only has an unknown key '{key}': kind {kind} has "):
        read_profile(path)


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind in KINDS for key in needs(kind)])
def test_a_key_that_is_needed_is_missed(written, kind, key):
    full = FULL.get(kind, FULL["slurm"])
    path = written(yaml.safe_dump({"only": {"kind": kind, **{name: full[name] for name in full if name != key}}}))
    with pytest.raises(ValueError, match=f"profile only has no {key}: kind {kind} needs it, "):
        read_profile(path)


def test_files_are_seen_from_where_the_file_is(written, tmp_path):
    (tmp_path / "ca.pem").touch()
    path = written("only: {kind: scheduler, address: 'tls://a:1', ca: ca.pem}")
    assert read_profile(path).ca == str(tmp_path / "ca.pem")


def test_the_examples_of_this_repository_have_every_key_and_are_read(written, tmp_path):
    """Of all kinds but those that are told with PBS."""
    text = (Path(__file__).parents[2] / "cluster.yaml").read_text()
    comment = "\n".join(line[1:] for line in text.splitlines() if line.startswith("#") and "`" not in line)
    seen = {}
    for block in re.split(r"\n *\n", comment):
        keys = yaml.safe_load(block)
        if not isinstance(keys, dict):
            continue
        for key, value in keys.items():
            if key in ("ca", "cert", "key", "known_hosts"):
                (tmp_path / value).parent.mkdir(exist_ok=True)
                (tmp_path / value).touch()
        read_profile(written(yaml.safe_dump({"only": keys})))
        seen[keys["kind"]] = set(keys) - {"kind"}
    assert list(seen) == ["local", "scheduler", "ssh", "slurm", "pbs", "kubernetes"]
    assert seen.pop("pbs") < set(KINDS["pbs"].__struct_fields__)
    assert seen == {kind: set(KINDS[kind].__struct_fields__) for kind in seen}


def test_the_schema_names_every_kind_its_keys_and_what_they_need():
    kinds = {each["properties"]["kind"]["enum"][0]: each for each in schema()["$defs"].values()}
    assert set(kinds) == set(KINDS)
    for kind, told in kinds.items():
        assert set(told["properties"]) == {"kind", *KINDS[kind].__struct_fields__}
        assert set(told["required"]) == {"kind", *needs(kind)}
        assert told["additionalProperties"] is False
