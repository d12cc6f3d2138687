"""The command line: each command parses, calls one function, and prints; one file per command."""

import sys

import click

from dnmf.cli.cancel import cancel
from dnmf.cli.compare import compare
from dnmf.cli.components import components
from dnmf.cli.convert import convert
from dnmf.cli.demo import demo
from dnmf.cli.errors import errors_as_sentences
from dnmf.cli.extend import extend
from dnmf.cli.factorize import factorize
from dnmf.cli.info import info
from dnmf.cli.output import lasting_streams
from dnmf.cli.plot import plot
from dnmf.cli.predict import predict
from dnmf.cli.ranks import ranks
from dnmf.cli.report import report
from dnmf.cli.resume import resume
from dnmf.cli.signals import signals_as_exceptions
from dnmf.cli.status import status
from dnmf.cli.submit import submit
from dnmf.cli.transform import transform
from dnmf.cli.warned import warnings_as_lines


class Commands(click.Group):
    """Commands that end with a sentence where they do not end well."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was typed."""
        with errors_as_sentences(), warnings_as_lines():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="dnmf")
@click.option("--debug", is_flag=True, help="Where a command fails, show where that was, too.")
def cli(debug: bool) -> None:
    """Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory."""


COMMANDS = (
    demo, convert, ranks, factorize, submit, resume, status, cancel, transform, predict, extend, info, components,
    compare, plot, report,
)  # fmt: skip
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    with lasting_streams(), errors_as_sentences(), signals_as_exceptions() as raise_again:
        try:
            sys.exit(cli(standalone_mode=False, obj=raise_again))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
