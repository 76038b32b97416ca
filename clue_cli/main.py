"""The `clue` application. Nothing heavy is imported here: verbs import what they need when they run."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from clue_cli.commands.data import EPILOG as DATA_EPILOG
from clue_cli.commands.data import data_command
from clue_cli.commands.eval import EPILOG as EVAL_EPILOG
from clue_cli.commands.eval import eval_command
from clue_cli.commands.leaderboard import EPILOG as LEADERBOARD_EPILOG
from clue_cli.commands.leaderboard import leaderboard_command
from clue_cli.commands.list import EPILOG as LIST_EPILOG
from clue_cli.commands.list import list_command
from clue_cli.commands.predict import EPILOG as PREDICT_EPILOG
from clue_cli.commands.predict import predict_command
from clue_cli.commands.score import EPILOG as SCORE_EPILOG
from clue_cli.commands.score import score_command
from clue_cli.commands.show import EPILOG as SHOW_EPILOG
from clue_cli.commands.show import show_command
from clue_cli.commands.train import EPILOG as TRAIN_EPILOG
from clue_cli.commands.train import train_command

app = typer.Typer(
    name="clue", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Baselines on the Chinese benchmarks CLUE and LIC2020: train, evaluate, predict, rank.",
    epilog="Start here:  clue train tnews   |   clue leaderboard",
)

LOOK, WORK, COMPARE = "Tasks and data", "Train and use", "Figures"

app.command("list", rich_help_panel=LOOK, epilog=LIST_EPILOG)(list_command)
app.command("show", rich_help_panel=LOOK, epilog=SHOW_EPILOG)(show_command)
app.command("data", rich_help_panel=LOOK, epilog=DATA_EPILOG)(data_command)
app.command("train", rich_help_panel=WORK, epilog=TRAIN_EPILOG)(train_command)
app.command("eval", rich_help_panel=WORK, epilog=EVAL_EPILOG)(eval_command)
app.command("predict", rich_help_panel=WORK, epilog=PREDICT_EPILOG)(predict_command)
app.command("score", rich_help_panel=COMPARE, epilog=SCORE_EPILOG)(score_command)
app.command("leaderboard", rich_help_panel=COMPARE, epilog=LEADERBOARD_EPILOG)(leaderboard_command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"clue {version('clue-baselines')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")


def main(arguments: list[str] | None = None) -> None:
    """Run the program and leave with its exit status: 0 done, 2 wrong request, 1 failed, 130 and 143 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """The exit status of `clue ARGUMENTS`; errors of clue's own are told in one line on standard error."""
    from clue_cli import console
    from clue_cli.errors import ClueError

    try:
        result = app(args=arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except ClueError as error:
        return console.fail(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is wrong, and nothing more can be said to it.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 0
    except Exception as error:
        return _other_error(error)


def _other_error(error: Exception) -> int:
    """Usage errors of the command line end with 2, anything unforeseen with 1 and one line (the traceback by --debug)."""
    from clue_cli import console

    show = getattr(error, "show", None)
    if show is not None and hasattr(error, "exit_code"):
        show()
        return int(error.exit_code)
    if type(error).__name__ == "Abort":
        sys.stderr.write("interrupted\n")
        return 130
    if type(error).__name__ == "Exit":
        return int(getattr(error, "exit_code", 0))
    return console.fail(error)
