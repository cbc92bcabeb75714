"""Lists, shows, trains, resumes, evaluates and samples the experiments of experiments/."""

import sys
from pathlib import Path

from nets.train import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv, Path(__file__).resolve().parent / "experiments"))
