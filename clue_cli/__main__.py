"""`python -m clue_cli`, the form that `accelerate launch -m clue_cli` needs, is the command `clue`."""

from clue_cli.main import main

if __name__ == "__main__":
    main()
