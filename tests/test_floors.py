"""The floors of the design: who may import whom, what third parties a module may use, and how long code may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dnmf"

# From the bottom up. A package, such as rules, is one entry: its modules may import each other.
FLOORS = [
    {"memory", "progress", "paths", "records", "disks", "leftovers"},
    {"sparse_cuts", "locations", "members", "lease"},
    {"strips", "rules", "products", "stores"},
    {"sketch", "state", "divergences", "sparse_rows", "checksums"},
    {"initialise", "alternate", "correction", "grids"},
    {"sample", "majorize"},
    {"matrices", "objectives", "runs", "formats", "profiles", "watch", "signals"},
    {"cluster", "launch", "schedulers", "blocks", "inventory", "kept_sample", "next_pass", "standing"},
    {"passes", "parameters"},
    {"engines"},
    {"job"},
    {"saving"},
    {"starts"},
    {"loop"},
    {"results", "assembly"},
    {"factorization", "resumption"},
    {"transformation", "write_back", "facts", "relay"},
    {"datasets", "convert", "plots", "terminal", "options", "sentences", "estimators"},
    {"demo", "run_commands"},
    {"cli"},
    {"__main__"},
    {"__init__"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}

THIRD_PARTY: dict[str, set[str]] = {
    "memory": set(),
    "sparse_cuts": set(),
    "strips": set(),
    "progress": set(),
    "paths": set(),
    "records": set(),
    "disks": set(),
    "leftovers": {"zarr"},
    "watch": {"distributed"},
    "lease": {"psutil", "zarr"},
    "signals": {"psutil"},
    "kept_sample": {"numpy", "scipy", "zarr"},
    "next_pass": {"numpy", "zarr"},
    "standing": set(),
    "assembly": set(),
    "resumption": set(),
    "relay": {"distributed"},
    "sentences": {"click", "rich"},
    "run_commands": {"click"},
    "members": {"numpy", "zarr"},
    "inventory": {"zarr"},
    "rules": {"numpy", "scipy"},
    "sketch": {"numpy"},
    "products": {"numpy", "scipy"},
    "divergences": {"numpy", "scipy"},
    "majorize": {"numpy"},
    "objectives": {"numpy"},
    "initialise": {"numpy"},
    "state": {"numpy"},
    "alternate": {"numpy"},
    "sample": {"numpy"},
    "correction": {"numpy"},
    "locations": {"fsspec", "zarr"},
    "stores": {"numpy", "zarr"},
    "sparse_rows": {"numpy", "scipy"},
    "checksums": {"numpy"},
    "grids": {"numpy", "scipy", "zarr"},
    "matrices": {"numpy", "zarr"},
    "runs": {"numpy", "scipy", "zarr"},
    "formats": {"h5py", "numpy", "scipy"},
    "profiles": {"dask", "yaml"},
    "cluster": {"dask", "distributed", "threadpoolctl", "zarr"},
    "launch": {"dask", "distributed"},
    "schedulers": {"dask", "distributed", "numpy"},
    "blocks": {"numpy"},
    "passes": {"dask", "numpy"},
    "engines": {"numpy"},
    "parameters": {"numpy"},
    "job": {"numpy"},
    "saving": set(),
    "starts": {"numpy"},
    "loop": set(),
    "results": {"numpy"},
    "transformation": {"dask", "numpy"},
    "write_back": {"numpy", "zarr"},
    "facts": set(),
    "options": {"click", "dask"},
    "factorization": {"numpy"},
    "estimators": {"numpy", "sklearn", "zarr"},
    "datasets": {"numpy", "zarr"},
    "convert": {"numpy", "zarr"},
    "plots": {"PIL", "matplotlib", "numpy", "scipy"},
    "terminal": {"rich"},
    "demo": {"numpy", "zarr"},
    "cli": {"click", "dask", "rich"},
    "__main__": set(),
    "__init__": set(),
}

FORBIDDEN_NAMES = {"utils", "helpers", "types", "typing", "io", "random"}
MODULE_LINES, FUNCTION_LINES = 300, 40


@dataclass(frozen=True)
class Module:
    """A file of the package: its dotted name without `dnmf`, the entry of the tables that it belongs to, its text."""

    name: str
    family: str
    text: str

    @property
    def imported(self) -> Iterator[str]:
        """Dotted names that the module imports, inside functions and for type checkers too."""
        for node in ast.walk(ast.parse(self.text)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} has a relative import: write the whole name"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Module]:
    """All modules, as they are found."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        family = parts[0]
        found.append(Module(".".join(parts), family, path.read_text(encoding="utf-8")))
    return found


each_module = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


def test_the_tables_name_the_modules_that_there_are():
    found = {module.family for module in modules()}
    assert found == set(FLOOR), "a new module gets a floor, a module that went leaves the table"
    assert found == set(THIRD_PARTY)


@each_module
def test_imports_go_strictly_down(module):
    for name in module.imported:
        top, *below = name.split(".")
        if top != "dnmf":
            continue
        target = below[0] if below else "__init__"
        assert target in FLOOR, f"{module.name} imports {name}: import the module, not what the package lends"
        if target != module.family:
            assert FLOOR[target] < FLOOR[module.family], f"{module.name} imports {name}, which is not below it"


@each_module
def test_third_parties_are_those_of_the_table(module):
    used = {name.split(".")[0] for name in module.imported} - sys.stdlib_module_names - {"dnmf"}
    assert used <= THIRD_PARTY[module.family]


@each_module
def test_a_module_has_a_telling_name_and_at_most_300_lines(module):
    assert not FORBIDDEN_NAMES & set(module.name.split("."))
    assert module.text.count("\n") <= MODULE_LINES


@each_module
def test_a_function_body_has_at_most_40_lines(module):
    for node in ast.walk(ast.parse(module.text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= FUNCTION_LINES, f"{module.name}.{node.name} has {lines} lines"


@pytest.mark.parametrize(
    "name", ["dnmf", "dnmf.rules", "dnmf.losses.least_squares.sums", "dnmf.rules.from_scratch", "dnmf.cli.main"]
)
def test_importing_it_loads_nothing_heavy(name):
    heavy = ("dask", "distributed", "zarr", "sklearn", "matplotlib", "h5py")
    code = f"import sys, {name}; print(*sorted(set(sys.modules) & set({heavy!r})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []


def test_what_the_package_lends_is_imported_when_it_is_used():
    code = "import sys, dnmf; before = 'dask' in sys.modules; dnmf.factorize; print(before, 'dask' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == ["False", "True"]
