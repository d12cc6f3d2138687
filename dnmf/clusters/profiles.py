"""cluster.yaml: which profile is meant, and the kind of cluster that it describes."""

from collections.abc import Callable
from pathlib import Path
from typing import cast, get_args

import msgspec
import yaml

from dnmf.clusters.batch import LSF, OAR, PBS, SGE, HTCondor, Moab, Slurm
from dnmf.clusters.keys import Duration, File, Line, Size
from dnmf.clusters.kind import Profile
from dnmf.clusters.kubernetes import Kubernetes
from dnmf.clusters.local import Local
from dnmf.clusters.scheduler import Scheduler
from dnmf.clusters.ssh import SSH
from dnmf.validation import Mismatch, validated

Kind = Local | Scheduler | SSH | Slurm | PBS | Moab | SGE | LSF | OAR | HTCondor | Kubernetes
KINDS: dict[str, type[Profile]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Kind)}


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


def _profile(path: str, name: str, keys: dict[object, object]) -> Profile:
    kind = keys.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"{path}: profile {name} has kind {kind!r}: known kinds are {', '.join(KINDS)}")

    def refuse(wrong: Mismatch) -> ValueError:
        match wrong.problem:
            case "unknown":
                said = f"an unknown key {wrong.where!r}: kind {kind} has {sorted(KINDS[kind].__struct_fields__)}"
            case "missing":
                said = f"no {wrong.where}: kind {kind} needs it, {wrong.required}"
            case _:
                said = f"{wrong.where}: {wrong.found}: {wrong.required.removesuffix(', or null')} is required"
        return ValueError(f"{path}: profile {name} has {said}")

    if None in keys.values():
        empty = next(key for key, value in keys.items() if value is None)
        raise ValueError(f"{path}: profile {name} has {empty} without a value: give it one, or leave the key out")
    profile = validated({str(key): value for key, value in keys.items()}, KINDS[kind], refuse)
    return _with_files(profile, Path(path).parent, refuse)


def _with_files(profile: Profile, folder: Path, refuse: Callable[[Mismatch], ValueError]) -> Profile:
    """A profile whose files, seen from where the cluster.yaml is, are there."""
    files = {key: getattr(profile, key) for key in profile.files if getattr(profile, key) is not None}
    found = {key: folder / Path(file).expanduser() for key, file in files.items()}
    for key, file in found.items():
        if not file.is_file():
            raise refuse(Mismatch("wrong", key, repr(str(files[key])), File.required))
    return msgspec.structs.replace(profile, **{key: str(file) for key, file in found.items()})


def schema() -> dict[str, object]:
    """The JSON Schema of a cluster.yaml, for editors and the documentation."""

    def described(key: type) -> dict[str, object]:
        kinds = "string" if issubclass(key, Line) else ["string", "integer"]
        return {"type": kinds, "description": cast("type[Line | Size | Duration]", key).required}

    return msgspec.json.schema(dict[str, Kind], schema_hook=described)
