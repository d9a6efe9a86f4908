"""`python -m framework`: the same command as `gatework`."""

from __future__ import annotations

from framework.cli.main import command

if __name__ == "__main__":
    raise SystemExit(command())
