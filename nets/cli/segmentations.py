"""The predictions of several runs of segmentation side by side, as figure 4 of the FCN paper.

    python -m nets.cli.segmentations FCN-32s=runs/fcn32s_camvid FCN-8s=runs/fcn8s_camvid

The runs are of one set of images; it is read as the first run reads it. Long et al. 2015, "Fully
convolutional networks for semantic segmentation".
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from nets.cli import runs
from nets.cli.parse import parse
from nets.data.dataset import Dataset
from nets.errors import UserError
from nets.report.mask_grid import MaskGrid
from nets.tasks import segment_figures
from nets.tasks.segment import Segment
from nets.tasks.task import Trained


def load(workdir: Path, checkpoint: str) -> tuple[Dataset, Trained]:
    """The data of a run, normalised as it was trained on, and what it was trained to.

    Raises:
        UserError: there is no such run, or it is not one of segmentation.
    """
    record, path = runs.read_record(workdir), (workdir / "experiment.py").resolve()
    arguments = ["", f"--experiment={path}", *record["arguments"]]
    experiment = parse(arguments, workdir).experiment
    if not isinstance(experiment.task, Segment):
        raise UserError(f"{workdir} is a run of {type(experiment.task).__name__}, not of Segment.")
    with runs.quiet():
        experiment, trained, _ = runs.restored(experiment, workdir, path, checkpoint)
    return experiment.data, trained


def panel(
    loaded: dict[str, tuple[Dataset, Trained]], split: str, count: int, title: str
) -> MaskGrid:
    """Images of a split, evenly spaced, their true masks and those of each run by its name.

    Raises:
        UserError: the runs were trained on other data than the first.
    """
    (data, first), *_ = loaded.values()
    for name, (_, trained) in loaded.items():
        if trained.metadata["digest"] != first.metadata["digest"]:
            raise UserError(f"{name} was trained on other images than {next(iter(loaded))}.")
    batch, masks = segment_figures.sample(data.evaluate(split), count), {}
    pixels = segment_figures.pixels(batch["inputs"], first.metadata)
    for name, (_, trained) in loaded.items():
        scale, offset = (np.array(trained.metadata[f"pixel_{k}"]) for k in ("scale", "offset"))
        inputs = (pixels * scale + offset).astype(np.float32)
        variables = {"params": trained.params, **trained.model_state}

        def classes(x, model=trained.model, variables=variables):
            return model.apply(variables, x, train=False).argmax(-1)

        masks[name] = np.asarray(jax.jit(classes)(inputs))
    return segment_figures.side_by_side(
        title, batch["inputs"], batch["targets"], masks, first.metadata
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws the panel that a command line describes.

    Raises:
        UserError: a run is not NAME=WORKDIR, the number of images is below 1, or the output is no
            PNG file; or what `load` and `panel` say.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=WORKDIR", help="a run and its title")
    parser.add_argument("--split", default="test", help="test or validation")
    parser.add_argument("--images", type=int, default=4, help="how many, at least 1")
    parser.add_argument("--checkpoint", default="best", help="best, latest, or a step")
    parser.add_argument("--title", default="The class of every pixel, by several networks")
    parser.add_argument("--output", type=Path, default=Path("segmentations.png"), help="a PNG file")
    options = parser.parse_args(arguments)
    if options.images < 1:
        raise UserError(f"must be at least 1, got {options.images}.", "images")
    if options.output.suffix != ".png":
        raise UserError(f"must be a file that ends in .png, got {options.output}.", "output")
    if wrong := [pair for pair in options.runs if "=" not in pair]:
        raise UserError(f"{wrong[0]} must be NAME=WORKDIR.")
    loaded = {}
    for pair in options.runs:
        name, _, workdir = pair.partition("=")
        loaded[name] = load(Path(workdir), options.checkpoint)
    figure = panel(loaded, options.split, options.images, options.title)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    print(figure.write(options.output.parent, options.output.stem))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"nets.cli.segmentations: {error.as_flag()}", file=sys.stderr)
        sys.exit(2)
