"""The floors of the design, which are contracts in pyproject.toml; and that what is light stays light."""

import logging.config
import subprocess
import sys
from pathlib import Path

from importlinter.cli import lint_imports

HEAVY = ("dask", "distributed", "zarr", "scipy", "sklearn", "matplotlib", "h5py")


def test_imports_keep_the_contracts(monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)  # it would silence the loggers of other tests
    assert lint_imports(config_filename=str(root / "pyproject.toml"), no_cache=True) == 0


def test_what_is_light_loads_nothing_heavy():
    """In one process: names, rules, parameters and the command line's help."""
    code = (
        "import sys, dnmf, dnmf.rules, dnmf.rules.from_scratch, dnmf.parameters, dnmf.cli.main\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(dnmf.cli.main.cli, ['factorize', '--help']).exit_code == 0\n"
        f"print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("\n", "")
