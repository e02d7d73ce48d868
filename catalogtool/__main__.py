"""Run the command line with ``python -m catalogtool``."""

from catalogtool.cli.main import run

if __name__ == "__main__":
    run()
