"""The command `hypertok`, or `python -m hypertok`: loads the commands only when it runs, so workers start light."""

from __future__ import annotations


def main() -> None:
    """Load the commands and run the one that was asked for; an interrupt meanwhile has the exit code of a later one."""
    try:
        from hypertok.cli.main import main as run
    except KeyboardInterrupt:  # loading takes 0.7 s, long enough to press Ctrl-C
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
