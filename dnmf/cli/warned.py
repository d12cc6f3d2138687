"""What the command line makes of a warning of ours: one line on stderr, without the place in the code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dnmf.cli.output import say


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show a plain `UserWarning` as its sentence alone; all other warnings as they are."""
    with warnings.catch_warnings():
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if category is UserWarning:
                say(f"warning: {message}", err=True)
            else:
                before(message, category, *where, **more)

        warnings.showwarning = show
        yield
