"""The click group of phasecal: errors as sentences, and plugins loaded when they are needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

import click

from phasecal.bounded import printable
from phasecal.errors import InputError, PhasecalError

ENTRY_POINTS = "phasecal.commands"
"""Group of entry points; each is a function that adds commands to a click group."""

MAX_REPORT = 100_000
"""Characters of all that is wrong with a file."""
EXIT_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class CommandGroup(click.Group):
    """A group whose commands may raise a `PhasecalError`: the user sees its message only.

    Attributes:
        lazy: Commands that are imported only when they are used, as ``module:attribute``: a query of the database must
            not wait for JAX.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, imported or not."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it the first time."""
        if cmd_name in self.lazy and cmd_name not in self.commands:
            module, name = self.lazy[cmd_name].split(":")
            self.add_command(getattr(importlib.import_module(module), name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes a line on stderr and an exit code, never a traceback."""
        try:
            return super().invoke(ctx)
        except PhasecalError as error:
            click.echo(printable(error, MAX_REPORT), err=True)
            ctx.exit(EXIT_WRONG_INPUT if isinstance(error, InputError) else EXIT_FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except BrokenPipeError:
            # Whoever read the output has gone (`phasecal ... | head`): nothing may be flushed into the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(EXIT_BROKEN_PIPE)


class PluginGroup(CommandGroup):
    """A group that also offers the commands of the entry points, which are imported only when asked for.

    `phasecal run` starts on every node for every job and must not pay for importing AiiDA, or need it.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands that can be had here."""
        self.load_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, looking among the plugins when it is not one of the science."""
        command = super().get_command(ctx, cmd_name)
        if command is None and not self.load_plugins():
            ctx.fail(
                f"No such command {cmd_name!r} here: AiiDA is not installed "
                "(commands that keep a record need `pip install phasecal[aiida]`)."
            )
        return command or super().get_command(ctx, cmd_name)

    def load_plugins(self) -> bool:
        """Let every plugin add its commands; return False where AiiDA, which they need, is not installed."""
        if importlib.util.find_spec("aiida") is None:
            return False
        for entry_point in entry_points(group=ENTRY_POINTS):
            entry_point.load()(self)
        return True
