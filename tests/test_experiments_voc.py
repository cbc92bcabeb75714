"""Recipes for PASCAL VOC learn a small folder in its form."""

import dataclasses

import jax
import numpy as np
import pytest

from nets.cli import config
from nets.cli.catalogue import load
from nets.cli.resolve import resolve
from nets.convnet import ConvNet
from nets.train import train_state
from nets.train.step import make_train_step
from tests.support.detection_files import write_voc
from tests.support.experiments import FOLDER

SMALL = {
    "yolo_voc": {"form": "small"},
    "faster_rcnn_voc": {
        "backbone": ConvNet((16,) * 4, (3,) * 4, num_classes=0), "stages": ("conv4",),
        "hidden": 32, "sizes": (8.0, 16.0, 32.0), "candidates": (100, 50), "proposals": (50, 20),
        "regions_per_image": 32,
    },
}  # fmt: skip
"""Fields of their models that make them small."""

STEPS = 60


@pytest.mark.parametrize(("name", "rate"), [("yolo_voc", 1e-3), ("faster_rcnn_voc", 1e-2)])
def test_recipes_of_pascal_voc_learn_a_small_folder(name, rate, tmp_path):
    """Three images, with the augmentation, batches, rule, schedule and decay of each."""
    experiment, fields = load(name, FOLDER), write_voc(tmp_path)
    experiment = dataclasses.replace(experiment, model=experiment.model.clone(**SMALL[name]))
    changes = {
        "steps": STEPS, "epochs": None, "optimizer.learning_rate": rate,
        "data.path": fields["path"], "data.classes": fields["classes"],
        "data.image_size": (64, 64), "data.batch_size": min(3, experiment.data.batch_size),
    }  # fmt: skip
    experiment = config.replace(experiment, changes)
    experiment = resolve(experiment, experiment.data.metadata())
    state = jax.jit(train_state.make_init(experiment))()
    update, batches = jax.jit(make_train_step(experiment)), experiment.data.train(experiment.seed)
    losses = []
    for i in range(STEPS):
        state, metrics = update(state, batches[i])
        losses.append(float(np.divide(*metrics["loss"])))
    first, last = np.mean(losses[:6]), np.mean(losses[-12:])  # whole epochs of three images
    assert last < 0.75 * first, losses
