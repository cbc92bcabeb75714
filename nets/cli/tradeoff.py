"""A result of several runs over another, in one picture: an error rate over its latency.

    python -m nets.cli.tradeoff --x=delay_ms --y=error_rate forward=runs/A "10 ahead=runs/B"

Results are those of the test split, as result.json of each work directory has them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nets.errors import UserError
from nets.report.tradeoff import Tradeoff


def result(workdir: Path, split: str, metric: str) -> float:
    """A metric of a finished run.

    Raises:
        UserError: the run has no such result.
    """
    path = workdir / "result.json"
    if not path.is_file():
        raise UserError(f"{workdir} holds no finished run.")
    values = json.loads(path.read_text()).get(split, {})
    if metric not in values:
        raise UserError(f"{workdir} has no {split} {metric}; it has {', '.join(values) or 'none'}.")
    return values[metric]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=WORKDIR", help="a run and its name")
    parser.add_argument("--x", required=True, help="metric of the horizontal axis")
    parser.add_argument("--y", required=True, help="metric of the vertical axis")
    parser.add_argument("--x_label", help="text of that axis, instead of the metric's name")
    parser.add_argument("--y_label", help="the same of the other")
    parser.add_argument("--split", default="test", help="test or validation")
    parser.add_argument("--log_x", action="store_true", help="logarithmic horizontal axis")
    parser.add_argument("--title", help="instead of the names of both")
    parser.add_argument("--output", type=Path, default=Path("tradeoff.png"))
    options = parser.parse_args(arguments)
    names, points = [], []
    for pair in options.runs:
        name, equals, workdir = pair.partition("=")
        if not equals:
            parser.error(f"{pair} must be NAME=WORKDIR")
        names.append(name)
        metrics = (options.x, options.y)
        points.append([result(Path(workdir), options.split, metric) for metric in metrics])
    x, y = np.array(points).T
    labels = options.x_label or options.x, options.y_label or options.y
    title = options.title or f"{labels[1]} over {labels[0]}"
    figure = Tradeoff(title, tuple(names), x, y, *labels, log_x=options.log_x)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    print(figure.write(options.output.parent, options.output.stem))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
