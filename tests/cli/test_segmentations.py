"""Predictions of several runs side by side."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from nets.cli import segmentations
from nets.data.segmentation import SegmentationImages
from nets.errors import UserError
from nets.tasks.task import Trained
from tests.support.launching import SMALL, launch
from tests.support.segmentation_sets import write_folder

ROOT = Path(__file__).parents[2]

EXPERIMENT = '''
"""Pixels by their colour alone.

    python launch.py --experiment=pixels.py
"""

from flax import linen as nn

from nets.data.scene_masks import ShapeMasks
from nets.optim.optimizer import Optimizer
from nets.tasks.segment import Segment
from nets.train.experiment import Experiment


class Pixels(nn.Module):
    """One layer for each pixel.

    Attributes:
        num_classes: number of classes.
    """

    num_classes: int | None = None

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(self.num_classes)(x)


def experiment():
    data = ShapeMasks(batch_size=4, eval_size=6, eval_batch_size=4)
    return Experiment(
        Pixels(), Segment(), data, Optimizer(learning_rate=0.1), steps=20, eval_every=20
    )
'''


class Threshold(nn.Module):
    """Class 1 where the first channel, as the network reads it, is above a number, else 0."""

    number: float

    @nn.compact
    def __call__(self, x, *, train):
        return jnp.concatenate([0 * x[..., :1], x[..., :1] - self.number], -1)


def trained(data, number):
    metadata = data.metadata()
    return Trained(Threshold(number), {}, {}, metadata, None, None, jax.random.key(0))


def test_each_run_sees_the_images_as_it_was_trained_on(tmp_path):
    sets = write_folder(tmp_path / "a", classes=2)
    unit = SegmentationImages(path=str(tmp_path / "a"), normalise="unit", eval_batch_size=2)
    signed = dataclasses.replace(unit, normalise="signed")
    loaded = {
        "unit": (unit, trained(unit, 0.5)),
        "signed": (signed, trained(signed, 0.0)),
        "dark": (signed, trained(signed, -0.5)),
    }
    grid = segmentations.panel(loaded, "test", 3, "Three")
    chosen = sets["test"][0][[0, 2, 3]]
    np.testing.assert_array_equal(grid.images, chosen)
    assert grid.title == "Three" and list(grid.masks) == ["truth", *loaded]
    for name, level in (("unit", 127.5), ("signed", 127.5), ("dark", 63.75)):
        np.testing.assert_array_equal(grid.masks[name], chosen[..., 0] > level)


def test_runs_on_other_images_are_refused(tmp_path):
    loaded = {}
    for name in "ab":
        write_folder(tmp_path / name, classes=2, size=(6, 8 + (name == "b")))
        data = SegmentationImages(path=str(tmp_path / name))
        loaded[name] = data, trained(data, 0.0)
    with pytest.raises(UserError, match="b was trained on other images than a"):
        segmentations.panel(loaded, "test", 2, "Two")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--images=0",), "--images must be at least 1, got 0"),
        (("--output=panel.jpg",), "--output must be a file that ends in .png, got panel.jpg"),
        (("--output=panel",), "--output must be a file that ends in .png, got panel"),
        (("runs/two",), "runs/two must be NAME=WORKDIR"),
    ],
)
def test_mistakes_are_told_before_a_run_is_read(arguments, message):
    with pytest.raises(UserError) as error:
        segmentations.main(["one=runs/one", *arguments])
    assert message in error.value.as_flag()


def test_a_mistake_is_one_line_and_exit_code_2():
    command = [sys.executable, "-m", "nets.cli.segmentations", "one=runs/one", "--images=0"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    expected = "nets.cli.segmentations: --images must be at least 1, got 0.\n"
    assert (process.returncode, process.stderr, process.stdout) == (2, expected, "")


@pytest.mark.slow
def test_runs_are_read_from_their_directories(tmp_path, capsys):
    (tmp_path / "pixels.py").write_text(EXPERIMENT)
    for seed in (0, 1):
        launch(
            f"--experiment={tmp_path / 'pixels.py'}", f"--seed={seed}", f"--workdir=run{seed}",
            cwd=tmp_path,
        )  # fmt: skip
    runs = [f"seed {seed}={tmp_path / f'run{seed}'}" for seed in (0, 1)]
    segmentations.main([*runs, "--images=2", f"--output={tmp_path / 'pictures' / 'both.png'}"])
    assert capsys.readouterr().out.strip().endswith("both.png")
    assert (tmp_path / "pictures" / "both.png").is_file()
    launch(*SMALL, "--steps=2", "--workdir=digits", cwd=tmp_path)
    with pytest.raises(UserError, match="digits is a run of Classify, not of Segment"):
        segmentations.load(tmp_path / "digits", "best")
    with pytest.raises(UserError, match="holds no run"):
        segmentations.load(tmp_path / "nowhere", "best")
