"""Recipes are as long as published, whatever the batch size."""

import numpy as np
import pytest

from nets.cli import config
from nets.cli.catalogue import load
from nets.types import Epochs
from tests.support.experiments import FOLDER, resolved

STEPS = {
    "alexnet_imagenet": 900_821,  # 90 passes over 1,281,167 images in batches of 128, and so on
    "zfnet_imagenet": 700_638,
    "vgg16_imagenet": 370_000,  # the paper's own count
    "googlenet_imagenet": 10_000_000,  # Caffe's
    "inception_v3_imagenet": 4_003_647,
    "resnet50_imagenet": 450_410,
    "resnet50_v2_imagenet": 450_410,
    "resnext50_imagenet": 500_456,
    "wide_resnet50_imagenet": 450_410,
    "se_resnet50_imagenet": 125_114,
    "densenet121_imagenet": 450_410,
    "fractalnet_imagenet": 2_802_553,
    "mobilenet_v1_imagenet": 1_334_549,
    "mobilenet_v2_imagenet": 4_003_647,
    "mobilenet_v3_imagenet": 187_671,
    "nasnet_large_imagenet": 4_003_647,
    "nasnet_mobile_imagenet": 4_003_647,
    "densenet_cifar10": 210_938,  # 300 passes over 45,000 images in batches of 64, and so on
    "fractalnet_cifar10": 180_000,
    "nin_cifar10": 80_859,
    "resnet20_cifar10": 64_000,  # the paper's own count
    "resnet_cifar10_30min": 4_200,
    "wide_resnet_cifar10": 70_312,
}


@pytest.mark.parametrize("name", STEPS)
def test_recipes_train_as_many_steps_as_published(name):
    assert resolved(load(name, FOLDER)).steps == STEPS[name]


def test_another_batch_size_trains_as_many_epochs():
    """All of what is counted in epochs: Goyal et al. 2017 with 32 times the batch."""
    at = [
        resolved(config.replace(load("resnet50_imagenet", FOLDER), {"data.batch_size": size}))
        for size in (256, 8192)
    ]
    passes = [
        np.array([e.steps, e.optimizer.warmup, *e.optimizer.schedule.milestones, e.eval_every])
        * e.data.batch_size / 1_281_167
        for e in at
    ]  # fmt: skip
    np.testing.assert_allclose(passes[0], [90, 5, 30, 60, 80, 1], rtol=1e-4)
    np.testing.assert_allclose(passes[1], [90, 5, 30, 60, 80, 1], rtol=3e-3)
    large = resolved(config.replace(load("nasnet_large_imagenet", FOLDER), {"data.batch_size": 64}))
    assert large.model.drop_path_steps == large.steps == 2_001_823


def test_epochs_are_passes_over_the_training_images():
    experiment = load("mlp_digits", FOLDER)  # 1,257 images, batches of 64
    changes = {"steps": None, "epochs": 2.0, "eval_every": Epochs(0.5), "save_every": Epochs(1e-9)}
    found = resolved(config.replace(experiment, changes))
    assert (found.steps, found.epochs) == (39, None)
    assert (found.eval_every, found.save_every) == (10, 1)
    held_out = config.replace(load("nin_cifar10", FOLDER), {"data.validation": 0.02})
    assert resolved(held_out).steps == 88_047  # 230 passes over 49,000 images
