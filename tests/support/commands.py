"""The command line in this process: what it prints, where, and how it exits, by the path that `dnmf` takes."""

import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from dnmf.cli import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def command(*words: object, cwd: Path | None = None) -> Done:
    """`dnmf …`, in a folder: not for what is interrupted, nor for a scheduler that is lost, which end the process."""
    out, errors = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", ["dnmf", *map(str, words)])
        if cwd is not None:
            patch.chdir(cwd)
        with pytest.raises(SystemExit) as ended:
            main.main()
    return Done(int(ended.value.code or 0), out.getvalue(), errors.getvalue())
