"""The command `clue`, and `python -m clue_cli`, the form that `accelerate launch -m clue_cli` needs."""

import sys


def main() -> None:
    """Run the program (see `clue_cli.main.main`); Ctrl-C while its modules are imported ends it as a later one does."""
    try:
        from clue_cli.main import main as run

        run()
    except KeyboardInterrupt as error:
        sys.stderr.write("interrupted\n")
        sys.exit(getattr(error, "exit_status", 130))
    finally:
        # `python -m` remembers a Ctrl-C inside eval() or exec() (dataclasses are made so), though it was caught, and
        # would die of the signal instead of leaving with the status; the next exec() makes it forget.
        exec("")


if __name__ == "__main__":
    main()
