"""The command line: each command parses, calls one function, and prints; one file per command."""

import sys

import click

from dnmf.cli.convert import convert
from dnmf.cli.demo import demo
from dnmf.cli.errors import told
from dnmf.cli.factorize import factorize, resume, submit
from dnmf.cli.info import info
from dnmf.cli.plot import plot
from dnmf.cli.signals import caught
from dnmf.cli.status import cancel, status
from dnmf.cli.transform import transform


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="dnmf")
def cli() -> None:
    """Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory."""


for command in (demo, convert, factorize, submit, resume, status, cancel, transform, info, plot):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    with told(), caught() as again:
        try:
            sys.exit(cli(standalone_mode=False, obj=again))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
