"""Changes to what JSON holds, for tests of damaged and hostile runs."""

from typing import Any


def set_at(content: Any, path: str, value: Any) -> None:
    """Replace, or with ... remove, the value at a path such as "state.height"; `content` is changed."""
    *parents, last = path.split(".")
    for name in parents:
        content = content[name]
    if value is ...:
        del content[last]
    else:
        content[last] = value
