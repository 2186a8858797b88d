"""What the user meets when a command fails: one sentence and an exit code."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from phasecal import __version__
from phasecal.cli import main
from phasecal.cli.group import CommandGroup
from phasecal.errors import ERRORS_BY_KIND, DataError, InputError


def run_raising(error: BaseException):
    """Run a command that raises, inside a group of phasecal."""
    group = CommandGroup("group")

    @group.command()
    def fail() -> None:
        raise error

    return CliRunner().invoke(group, ["fail"])


@pytest.mark.parametrize("kind", ERRORS_BY_KIND)
def test_a_typed_error_becomes_its_message_and_an_exit_code(kind):
    result = run_raising(ERRORS_BY_KIND[kind]("what is wrong; what to do"))
    assert result.output == "what is wrong; what to do\n"
    assert result.exit_code == (2 if ERRORS_BY_KIND[kind] is InputError else 1)


def test_an_interrupt_is_one_word():
    result = run_raising(KeyboardInterrupt())
    assert (result.exit_code, result.output) == (130, "interrupted\n")


def test_a_fault_of_the_program_is_not_hidden():
    assert isinstance(run_raising(ZeroDivisionError()).exception, ZeroDivisionError)


def test_errors_inside_other_groups_are_handled_too():
    outer = click.Group("verdi")
    inner = CommandGroup("phasecal")
    outer.add_command(inner)

    @inner.command()
    def fail() -> None:
        raise DataError("a file is missing")

    result = CliRunner().invoke(outer, ["phasecal", "fail"])
    assert (result.exit_code, result.output) == (1, "a file is missing\n")


def test_the_version_is_that_of_the_package():
    assert CliRunner().invoke(main, ["--version"]).output == f"phasecal, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["run"], ["validate"], ["nonsense"], ["validate", "x.yaml", "--task", "cook"]])
def test_wrong_usage_exits_with_2(arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "Usage:" in result.output
