"""The command `faceid`: registers the commands, and turns errors into text and exit codes. Nothing else."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from faceid_cli.cli.addresses import with_address
from faceid_cli.cli.flags import Verbose, examples
from faceid_cli.cli.output import out
from faceid_cli.cli.plain_values import spare_plain_values
from faceid_cli.cli.refusals import abort_error, refused_error, usage_error
from faceid_cli.cli.streams import abandon, prepare_streams
from faceid_cli.errors import FaceIDError, InterruptedRunError, OutputError, UsageError
from faceid_cli.kept.collector import collect_rarely
from faceid_cli.kept.own_process import claim_process
from faceid_cli.kept.signals import raise_dropped_interrupts
from faceid_cli.version import __version__

EPILOG = (
    examples(
        "faceid demo",
        "faceid enroll alice photos/alice",
        'faceid generate alice "holding a coffee cup, mountains"',
    )
    + "\n\n"
    + "\n".join(
        [
            "\b",
            "Exit codes:",
            "    0  done",
            "    1  failed (also `faceid doctor` with findings)",
            "    2  an option, a value, a name or a prompt that cannot work",
            "    3  no identity of that name",
            "    4  photos that cannot be used",
            "    5  base model or helper weights missing, damaged or of the wrong kind",
            "    6  registry trouble",
            "    7  the name is taken",
            "    8  a training checkpoint that does not match",
            "    9  a file that cannot be written or reached: permissions, a full disk",
            "   10  out of memory",
            "   11  a file that is no identity or no backup, or a damaged one",
            "  130  interrupted with Ctrl-C",
        ]
    )
    + "\n\n"
    + "\n".join(
        [
            "\b",
            "Everything is kept in one folder: FACEID_HOME if that is set, else the user's",
            "data folder; `faceid doctor` shows where. NO_COLOR switches colours off.",
        ]
    )
)


_MODULES = {
    "enroll": "enroll",
    "list": "list",
    "ls": "list",
    "show": "show",
    "generate": "generate",
    "compose": "compose",
    "blend": "blend",
    "batch": "batch",
    "serve": "serve",
    "info": "info",
    "replay": "replay",
    "history": "history",
    "export": "export",
    "import": "import_",
    "rename": "rename",
    "tag": "notes",
    "note": "notes",
    "remove": "remove",
    "backup": "backup",
    "restore": "backup",
    "samples": "samples",
    "demo": "demo",
    "doctor": "doctor",
    "config": "config",
    "models": "models",
    "evaluate": "evaluate",
    "attention": "attention",
    "report": "report",
    "photos": "photos",
    "weights": "weights",
}
"""The commands as the help lists them, and the files that they are in."""


class Commands(Mapping[str, Any]):
    """The commands, each imported when it is asked for: `faceid list` and completion wait for no other."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            part = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
            import_module(f"faceid_cli.cli.{_MODULES[name]}").register(part)
            commands = typer.main.get_group(part).commands
            for command in commands.values():
                spare_plain_values(command)
            self._made |= commands
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


class Group(TyperGroup):
    """The command group, with Ctrl-C as one of our errors."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**(settings | {"commands": Commands()}))
        spare_plain_values(self)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedRunError("stopped by Ctrl-C") from error


app = typer.Typer(
    name="faceid",
    cls=Group,
    epilog=EPILOG,
    # Plain help: quick to start, and the same in a terminal, a pipe and the documentation.
    rich_markup_mode=None,
    # A bug is to be seen as it is.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(value: bool) -> None:
    if value:
        out.result({"command": "version", "faceid": __version__}, [f"faceid {__version__}"], [__version__])
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Teach a Stable Diffusion model a person from a few pictures, and render them into any scene. Offline."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the one place where errors become text.

    Only `FaceIDError`, mistakes on the command line, and what the system refuses (permissions, a full disk) are turned
    into one line on stderr. Any other exception is a bug in faceid and leaves this function as it is.
    """
    prepare_streams()
    out.reset()
    words = with_address(list(sys.argv[1:] if argv is None else argv))
    try:
        _check_words(words)
        code = app(args=words, prog_name="faceid", standalone_mode=False)
    except FaceIDError as error:
        out.error(error)
        return error.exit_code
    except typer.TyperException as error:
        out.error(usage_error(error))
        return error.exit_code
    except OSError as error:
        if (refused := refused_error(error)) is None:
            raise
        out.error(refused)
        return refused.exit_code
    except typer.Abort as error:
        stopped = abort_error(error)
        out.error(stopped)
        return stopped.exit_code
    except SystemExit as stop:  # --show-completion and --install-completion stop this way
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return code if isinstance(code, int) else 0


def _check_words(words: Sequence[str]) -> None:
    """Refuse bytes that are no text, such as a list in Latin-1 gives; of existing files they may be the name.

    Raises:
        UsageError: See above.
    """
    if all(map(str.isascii, words)):
        return

    # This brings in all orders, which the quick commands do without.
    from faceid_cli.orders.checks import check_text, is_text, shown_text

    for word in words:
        if is_text(word) or os.path.exists(word) or os.path.exists(word.partition("=")[2]):
            continue
        if (encoding := sys.getfilesystemencoding()) != "utf-8":  # switched off by hand: else Python sees to it
            raise UsageError(f"'{shown_text(word)}' cannot be read as {encoding}", "set LC_ALL=C.UTF-8")
        check_text("the command line", word)


def entry() -> None:
    """Entry point of the console script.

    After Ctrl-C the process ends by the signal itself, not by an exit code alone: a shell stops its loop only then. A
    request to end (`kill`, `timeout`, a terminal that is closed) is treated in the same way: what is finished is kept.
    """
    claim_process()
    raise_dropped_interrupts()
    collect_rarely()
    came = [signal.SIGINT]
    stopped = False

    def stop(number: int, _frame: Any) -> None:
        came[0] = signal.Signals(number)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        each = getattr(signal, name, None)
        if each is not None and signal.getsignal(each) == signal.SIG_DFL:  # `nohup` ignores the latter
            signal.signal(each, stop)

    def end() -> None:
        if stopped:
            _end_by(came[0])

    atexit.register(end)  # what is registered first runs last: all others have tidied up by then
    try:
        code = _flushed(main())
    except KeyboardInterrupt:  # before or after the command itself, while modules load or files close
        code = InterruptedRunError.exit_code
    except BrokenPipeError:  # the reader, such as `head`, has gone: no error of ours, and nobody to tell
        abandon(sys.stdout)
        code = 1
    stopped = code == InterruptedRunError.exit_code
    sys.exit(code)


def _flushed(code: int) -> int:
    """The exit code once all is written that was printed; main has told why it cannot be."""
    try:
        if not sys.stdout.closed:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        abandon(sys.stdout)
        return OutputError.exit_code
    return code


def _end_by(number: signal.Signals) -> None:
    """Let the process die of the signal; Windows has no such end, there the exit code has to do."""
    if os.name != "posix":
        return
    for stream in (sys.stdout, sys.stderr):  # nobody flushes them after this
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
