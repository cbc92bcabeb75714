"""Lists, shows, trains, resumes, evaluates, samples and applies the experiments of experiments/."""

import os
import sys
from pathlib import Path

from nets.cli import catalogue, parse, process
from nets.errors import UserError

EXPERIMENTS = Path(__file__).resolve().parent / "experiments"


def main(argv: list[str]) -> int:
    """Runs a command line; the exit code."""
    try:
        if argv[1:2] == ["list"]:
            print(catalogue.render(argv[2:], EXPERIMENTS), flush=True)
        elif (parsed := parse.parse(argv, EXPERIMENTS)) is not None:
            from nets.cli import commands  # not before it is known that there is something to do

            return commands.run(parsed)
        return 0
    except BrokenPipeError:  # who reads the output has enough: `launch.py list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if error.name not in ("absl", "jax"):
            raise
        print(
            f"{Path(argv[0]).name}: {error.name} is not installed for {sys.executable}: run "
            "`pip install -e .` in the folder of this project.",
            file=sys.stderr,
        )
        return 2
    except UserError as error:
        print(f"{Path(argv[0]).name}: {error.as_flag()}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    process.leave_at_interrupt()
    process.tune()
    sys.exit(main(sys.argv))
