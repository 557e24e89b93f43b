"""`python -m faceid_cli` is the command `faceid`."""

from faceid_cli.cli.app import entry

if __name__ == "__main__":
    entry()
