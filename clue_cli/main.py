"""The `clue` application. Nothing heavy is imported here: verbs import what they need when they run."""

from __future__ import annotations

import os
import re
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard

import typer
from typer.core import TyperCommand

from clue_cli.commands.compare import EPILOG as COMPARE_EPILOG
from clue_cli.commands.compare import compare_command
from clue_cli.commands.convert import EPILOG as CONVERT_EPILOG
from clue_cli.commands.convert import convert_command
from clue_cli.commands.data import EPILOG as DATA_EPILOG
from clue_cli.commands.data import data_command
from clue_cli.commands.eval import EPILOG as EVAL_EPILOG
from clue_cli.commands.eval import eval_command
from clue_cli.commands.export import EPILOG as EXPORT_EPILOG
from clue_cli.commands.export import export_command
from clue_cli.commands.leaderboard import EPILOG as LEADERBOARD_EPILOG
from clue_cli.commands.leaderboard import leaderboard_command
from clue_cli.commands.list import EPILOG as LIST_EPILOG
from clue_cli.commands.list import list_command
from clue_cli.commands.predict import EPILOG as PREDICT_EPILOG
from clue_cli.commands.predict import predict_command
from clue_cli.commands.report import EPILOG as REPORT_EPILOG
from clue_cli.commands.report import report_command
from clue_cli.commands.score import EPILOG as SCORE_EPILOG
from clue_cli.commands.score import score_command
from clue_cli.commands.show import EPILOG as SHOW_EPILOG
from clue_cli.commands.show import show_command
from clue_cli.commands.submit import EPILOG as SUBMIT_EPILOG
from clue_cli.commands.submit import submit_command
from clue_cli.commands.train import EPILOG as TRAIN_EPILOG
from clue_cli.commands.train import train_command

if TYPE_CHECKING:
    from clue_cli.errors import UserError

app = typer.Typer(
    name="clue",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Baselines on the Chinese benchmarks CLUE and LIC2020: train, evaluate, predict, rank.",
    epilog="Start here:\n\nclue train tnews\n\nclue leaderboard",
)


class Verb(TyperCommand):
    """A verb whose usage line reads `RUN [FILE]...`; newer releases of Typer put RUN in braces."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: D102
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


LOOK, WORK, COMPARE = "Tasks and data", "Train and use", "Figures"

app.command("list", cls=Verb, rich_help_panel=LOOK, epilog=LIST_EPILOG)(list_command)
app.command("show", cls=Verb, rich_help_panel=LOOK, epilog=SHOW_EPILOG)(show_command)
app.command("data", cls=Verb, rich_help_panel=LOOK, epilog=DATA_EPILOG)(data_command)
app.command("convert", cls=Verb, rich_help_panel=LOOK, epilog=CONVERT_EPILOG)(convert_command)
app.command("train", cls=Verb, rich_help_panel=WORK, epilog=TRAIN_EPILOG)(train_command)
app.command("eval", cls=Verb, rich_help_panel=WORK, epilog=EVAL_EPILOG)(eval_command)
app.command("predict", cls=Verb, rich_help_panel=WORK, epilog=PREDICT_EPILOG)(predict_command)
app.command("submit", cls=Verb, rich_help_panel=WORK, epilog=SUBMIT_EPILOG)(submit_command)
app.command("export", cls=Verb, rich_help_panel=WORK, epilog=EXPORT_EPILOG)(export_command)
app.command("score", cls=Verb, rich_help_panel=COMPARE, epilog=SCORE_EPILOG)(score_command)
app.command("leaderboard", cls=Verb, rich_help_panel=COMPARE, epilog=LEADERBOARD_EPILOG)(leaderboard_command)
app.command("compare", cls=Verb, rich_help_panel=COMPARE, epilog=COMPARE_EPILOG)(compare_command)
app.command("report", cls=Verb, rich_help_panel=COMPARE, epilog=REPORT_EPILOG)(report_command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"clue {version('clue-baselines')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def main(arguments: list[str] | None = None) -> None:
    """Run the program and leave with its exit status: 0 done, 2 wrong request, 1 failed, 130 and 143 interrupted."""
    # Under several processes their launcher decides what a signal means.
    if "RANK" not in os.environ and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(arguments))


class Terminated(KeyboardInterrupt):
    """SIGTERM: the program leaves as after Ctrl-C, and says 143."""

    exit_status = 143


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends it at once
    raise Terminated


def run(arguments: list[str] | None = None) -> int:
    """The exit status of `clue ARGUMENTS`; what goes wrong is told in one line on standard error."""
    from clue_cli import console

    console.configure(debug="--debug" in (sys.argv if arguments is None else arguments))
    try:
        status = _invoke(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        sys.stderr.write("interrupted\n")
        return int(getattr(error, "exit_status", 130))
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is wrong, and nothing more can be said to it.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 0
    except SystemExit as error:
        # How rich ends a program whose reader has gone.
        if isinstance(error.__context__, BrokenPipeError):
            return 0
        raise
    except Exception as error:
        told = _told(error)
        return told.exit_status if _said_by_another(told) else console.fail(told)
    return status


def _said_by_another(error: Exception) -> TypeGuard[UserError]:
    """Whether the first process of this machine says the same: all of them meet what is wrong with a request."""
    from clue_cli.errors import UserError

    return isinstance(error, UserError) and int(os.environ.get("LOCAL_RANK") or 0) > 0


def _invoke(arguments: list[str]) -> int:
    """Parse and run. Not `app()`: it would answer interruptions and closed pipes itself."""
    try:
        command = typer.main.get_command(app)
        with command.make_context("clue", list(arguments) or ["--help"]) as context:
            result = command.invoke(context)
    except Exception as error:
        # Typer's own `Exit` (after --help, and from verbs) is a class of another module in other releases.
        if type(error).__name__ != "Exit":
            raise
        return int(getattr(error, "exit_code", 0))
    return result if isinstance(result, int) else 0


def _told(error: Exception) -> Exception:
    """What Typer says about a wrong command line, and a full disk, as errors of ours; any other error as it is."""
    from clue_cli.errors import UserError
    from clue_cli.files import disk_is_full, write_error

    if isinstance(error, OSError) and disk_is_full(error):
        return write_error(error.filename or "output", error)

    tell = getattr(error, "format_message", None)
    if tell is None:
        return error
    parameter, message = getattr(error, "param", None), str(getattr(error, "message", ""))
    context = getattr(error, "ctx", None)
    hint = f"{context.command_path} --help" if context is not None else None
    if type(error).__name__ == "BadParameter" and parameter is not None and parameter.opts:
        if (least := re.match(r"Input should be greater than or equal to (\S+)", message)) is not None:
            given: list[Any] = getattr(error.__cause__, "errors", lambda: [])()  # the validator's error has the value
            message, hint = f"must be at least {least[1]}" + (f", got {given[0]['input']}" if given else ""), None
        elif (least := re.match(r"(\S+) is not in the range x>=(\S+)\.", message)) is not None:  # Typer 0.26
            message, hint = f"must be at least {least[2]}, got {least[1]}", None
        return UserError(message, where=parameter.opts[0], hint=hint)
    return UserError(tell(), hint=hint)
