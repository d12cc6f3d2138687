"""Whether two names are of one place: through links, mounts, the case of letters, and ways to write a URL."""

from pathlib import Path

from dnmf.stores.paths import absolute, is_url, scheme_of

# Schemes of the same things, and those of objects that a web server may show, too.
KINDS = {"abfs": "az", "abfss": "az", "adl": "az", "https": "http"}
OBJECTS = ("s3", "gs", "az")


def inside(inner: str, outer: str) -> bool:
    """Whether an absolute path or URL is another one, or is below it, or leads through it.

    >>> inside("s3://bucket/X.zarr/layers/counts", "s3://bucket/X.zarr"), inside("s3://bucket/X", "s3://bucket/X.zarr")
    (True, False)
    """
    if is_url(inner) != is_url(outer):
        return False
    if is_url(inner):
        return any(one[: len(other)] == other for one in _spellings(inner) for other in _spellings(outer))
    steps = _steps(Path(inner))
    # By name too: not all file systems number their files.
    return Path(outer) in steps or not _numbers({Path(outer)}).isdisjoint(_numbers(steps))


def nested(one: str, other: str) -> bool:
    """Whether one of two absolute paths or URLs is the other, or is inside it."""
    return inside(one, other) or inside(other, one)


def same(one: str, other: str) -> bool:
    """Whether two absolute paths or URLs are of one place."""
    return inside(one, other) and inside(other, one)


def _steps(path: Path) -> set[Path]:
    """All that a path leads through: folders, links, and all that those lead through."""
    found: set[Path] = set()
    todo = [path]
    while todo:
        for step in (todo[-1], *todo.pop().parents):
            if step not in found:
                found.add(step)
                if step.is_symlink():
                    todo.append(Path(absolute(step.parent / step.readlink())))
    return found


def _numbers(paths: set[Path]) -> set[tuple[int, int]]:
    """By what numbers a file system knows what is at paths: a folder that is mounted twice has the same ones."""
    found = set()
    for path in paths:
        try:
            about = path.stat()
        except OSError:
            continue
        if about.st_ino:
            found.add((about.st_dev, about.st_ino))
    return found


def _spellings(url: str) -> list[list[str]]:
    """The parts of a URL, from the bucket on; of a web address also those of the object that it may be a name of."""
    scheme, (place, *parts) = scheme_of(url), url.partition("://")[2].split("/")
    kind = KINDS.get(scheme, scheme)
    if kind != "http":
        # What stands before the @ is the container in abfs://container@account/…
        return [[kind, place.partition("@")[0], *parts]]
    place = place.lower()
    objects = [parts, [place.partition(".")[0], *parts]] if parts else []
    return [[kind, place, *parts], *([name, *each] for name in OBJECTS for each in objects)]
