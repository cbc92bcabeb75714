"""One experiment of each family is trained, reduced."""

import contextlib
import gzip
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nets import inception, mobilenet_v3, nasnet
from nets.cli import config
from nets.cli.catalogue import load
from nets.report.reporter import Reporter
from nets.train import loop
from nets.train.experiment import Experiment
from nets.train.signals import Signals
from tests.support import toys
from tests.support.detection_files import write_voc
from tests.support.experiments import FOLDER, resolved
from tests.support.segmentation_sets import write_folder

REDUCED = {
    "mlp_digits": {"model.widths": (16,)},
    "lenet5_digits": {},
    "zipnet_digits": {},
    "char_lstm_python": {"model.cell.features": 16, "data.length": 8, "data.batch_size": 4},
    "transformer_python": {"model.features": 8, "model.context": 8, "data.length": 8},
    "lstmn_words": {"model.cell.features": 8, "model.embed": 8, "data.length": 8},
    "adding": {"data.length": 5, "data.eval_size": 20},
    "permuted_mnist": {"data.name": "digits", "data.image_size": 4, "model.cell.features": 8},
    "one_to_many": {"model.cell.features": 8},
    "many_to_many": {"data.length": 6, "data.eval_size": 20, "task.k1": 2, "task.k2": 3},
    "glimpses_digits": {
        "model.glimpses": 2,
        "model.cell.features": 8,
        "model.hidden": 4,
        "model.features": 8,
        "data.eval_size": 20,
    },
    "matched_filter": {"data.eval_size": 20, "model.window": 8, "data.width": 8},
    "shifted_digits": {"model.features": (2, 3), "data.margin": 2},
    "hog_digits": {"data.image_size": 8},
    "logistic_breast_cancer": {},
    "regression_diabetes": {},
    "playground": {"task.resolution": 4, "task.snapshots": (0, 2), "data.eval_size": 20},
    "seq_to_seq": {"data.maximum": 40, "data.eval_size": 10, "model.cell.features": 8},
    "luong_dates": {"data.eval_size": 20, "model.cell.features": 8, "model.embedding": 4},
    "transformer_dates": {"data.eval_size": 20, "model.features": 8},
    "attention_multi30k": {
        "model.cell.features": 8,
        "model.embedding": 4,
        "data.widths": (),
        "data.max_length": 9,
        "data.vocab_size": 24,
        "data.eval_batch_size": 8,
    },
    "modules_python": {"model.cell.features": 8, "model.embedding": 8, "data.max_length": 41},
    "tagging_python": {"model.cell.features": 8, "model.embedding": 8, "data.widths": ()},
    "handwriting_letters": {
        "model.cell.features": 8,
        "model.layers": 2,
        "model.mixtures": 2,
        "data.size": 60,
        "data.widths": (),
        "task.length": 20,
        "task.samples": 1,
        "task.biases": (1.0,),
    },
    "music_canon": {"model.cell.features": 8, "data.length": 20, "task.length": 20},
    "biaxial_piano_midi": {
        "model.time.features": 4,
        "model.notes.features": 4,
        "data.path": None,
        "data.length": 10,
        "data.eval_batch_size": 15,
        "task.length": 20,
    },
    "ntm_copy": {
        "model.cell.features": 8,
        "model.cell.slots": 8,
        "model.cell.width": 4,
        "data.max_length": 3,
        "data.longer_lengths": (4,),
        "data.eval_size": 10,
    },
    "stack_anbn": {"model.cell.features": 4, "data.max_count": 3, "data.max_test_count": 5},
    "neural_slam_grid": {
        "model.cell.features": 4,
        "model.cell.width": 2,
        "model.hidden": 8,
        "data.eval_size": 10,
        "task.steps": 4,
    },
    "memn2n_stories": {
        "epochs": None,
        "task.linear": 2,
        "model.features": 4,
        "data.questions": 100,
        "data.widths": (),
    },
    "memory_network_babi": {
        "epochs": None,
        "model.features": 4,
        "data.path": None,
        "data.questions": 100,
        "data.widths": (),
    },
    "enhance_tones": {"model.network.cell.features": 8, "data.duration": 0.2, "data.eval_size": 3},
    "transcribe_tones": {"model.cell.features": 8, "data.seconds": (0.9,), "data.eval_size": 10},
    "spoken_tones": {"model.conv": (2, 3), "model.lstm": (4,), "data.eval_batch_size": 150},
    "scene_labelling_camvid": {
        "data.batch_size": 4,
        "data.image_size": (24, 32),
        "data.crop": (16, 16),
        "model.widths": (8, 8, 8),
        "model.hidden": 8,
    },
}


SLOW = {
    "luong_dates",
    "transformer_dates",
    "scene_labelling_camvid",
    "tagging_python",
    "biaxial_piano_midi",
}


def parameters(names: Iterable[str], slow: set[str]) -> list[Any]:
    return [pytest.param(n, marks=[pytest.mark.slow] if n in slow else []) for n in names]


@pytest.mark.parametrize("name", parameters(REDUCED, SLOW))
def test_one_of_each_family_learns_a_little(name, tmp_path):
    experiment = load(name, FOLDER)
    changes = {
        "steps": 4, "eval_every": 1000, "log_every": 2, "data.batch_size": 16,
        "optimizer.warmup": 1,
    }  # fmt: skip
    if name in ("char_lstm_python", "transformer_python", "lstmn_words"):
        experiment = config.replace(experiment, {"data.path": __file__, "task.sample_length": 9})
    if name == "attention_multi30k":
        changes["data.folder"] = str(tmp_path)
        lines = "\n".join(f"word {k % 7} " * (1 + k % 3) for k in range(40)).encode()
        for split, end in itertools.product(("", "validation_", "test_"), ("source", "target")):
            file = tmp_path / getattr(experiment.data, split + end)
            file.write_bytes(gzip.compress(lines))
    if name == "scene_labelling_camvid":
        write_folder(tmp_path / "scenes", size=(24, 32), classes=11, void=11)
        changes["data.path"] = str(tmp_path / "scenes")
    (tmp_path / "run").mkdir()
    fit(config.replace(experiment, changes | REDUCED[name]), tmp_path / "run")
    if name == "attention_multi30k":
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        assert 0 <= result["test"]["bleu"] <= 100


SMALL = {
    "alexnet_imagenet": {"model.hidden": 8, "data.image_size": 67},
    "zfnet_imagenet": {"model.hidden": 8, "data.image_size": 47},
    "vgg16_imagenet": {"model.depth": 11, "model.hidden": 8, "data.image_size": 32},
    "googlenet_imagenet": {"data.image_size": 79},
    "inception_v3_imagenet": {
        "model.auxiliary": False, "task.auxiliary": 0.0, "data.image_size": 75
    },
    "resnet50_imagenet": {"model.layers": (1, 1), "model.width": 8, "data.image_size": 32},
    "densenet121_imagenet": {"model.layers": (1, 1), "model.growth": 4, "data.image_size": 32},
    "fractalnet_imagenet": {
        "model.features": (4, 8), "model.dropout": (0.0, 0.0), "model.columns": 2,
        "data.image_size": 32,
    },
    "mobilenet_v1_imagenet": {"model.width": 0.25, "data.image_size": 32},
    "mobilenet_v3_imagenet": {"model.width": 0.2, "data.image_size": 32},
    "nasnet_large_imagenet": {"model.cells": 1, "model.stem": 8, "data.image_size": 67},
}  # fmt: skip

POOLED = (((0, "max"), (0, "average")),)
SHALLOW = {
    "googlenet_imagenet": {
        "nets.googlenet.INCEPTIONS": dict.fromkeys(
            ("inception4a", "inception4d", "inception5a"), (4,) * 6
        )
    },
    "inception_v3_imagenet": {"nets.inception.MIXED": {"Mixed_5b": inception.mixed_a(8)}},
    "mobilenet_v1_imagenet": {"nets.mobilenet.V1": ((64, 2), (128, 2))},
    "mobilenet_v3_imagenet": {
        "nets.mobilenet_v3.VARIANTS": {"large": (mobilenet_v3.LARGE[:4], 64)}
    },
    "nasnet_large_imagenet": {
        "nets.nasnet.NASNet._stack": lambda self: [
            ("cell_stem_0", nasnet.REDUCTION._replace(pairs=POOLED, joined=(2,)), 4),
            ("cell_1", nasnet.NORMAL._replace(pairs=nasnet.NORMAL.pairs[4:], joined=(2,)), 4),
        ]
    },
}
"""Replacements of module tables, for nets whose depth is no field."""


LARGE = {"googlenet_imagenet", "inception_v3_imagenet", "nasnet_large_imagenet"}
DEEP = {"zfnet_imagenet", "vgg16_imagenet", "mobilenet_v3_imagenet", "fractalnet_imagenet"}


@pytest.mark.parametrize("name", parameters(SMALL, LARGE | DEEP))
def test_one_of_each_family_for_imagenet_learns_a_little(name, tmp_path, monkeypatch):
    """From a folder of JPEG files of unequal size, cut as the recipe says."""
    for table, short in SHALLOW.get(name, {}).items():
        monkeypatch.setattr(table, short)
    rng = np.random.default_rng(0)
    for split, label, k in np.ndindex(3, 2, 4):
        file = tmp_path / "data" / ("train", "validation", "test")[split] / "ab"[label] / f"{k}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (90 + 4 * k, 110 - 5 * k, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    side = SMALL[name]["data.image_size"]
    changes = {
        "steps": 2, "epochs": None, "eval_every": 1000, "log_every": 1,
        "data.path": str(tmp_path / "data"),
        "optimizer.warmup": 1,
        "data.batch_size": 4, "data.eval_batch_size": 4, "data.eval_short_side": side + 9,
        "data.short_side": (side + 9, side + 20), "model.num_classes": None,
    }  # fmt: skip
    fit(config.replace(load(name, FOLDER), changes | SMALL[name]), tmp_path)


DETECTORS = ("yolo_blood_cells", "faster_rcnn_blood_cells")


@pytest.mark.parametrize("name", parameters(DETECTORS, {*DETECTORS}))
def test_detectors_learn_a_little_from_a_folder(name, tmp_path):
    """From files in the form of Pascal VOC; one of the images has no object."""
    fields = write_voc(tmp_path / "data")
    changes = {
        "steps": 2, "epochs": None, "eval_every": 1, "log_every": 1, "optimizer.warmup": 1,
        "data.path": fields["path"], "data.classes": fields["classes"], "data.batch_size": 2,
        "data.eval_batch_size": 1, "data.image_size": (64, 64), "data.max_boxes": None,
    }  # fmt: skip
    fit(config.replace(load(name, FOLDER), changes), tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0 <= result["test"]["map50"] <= 1


def fit(experiment: Experiment, workdir: Path) -> None:
    """Trains, evaluates and draws, and sees that it came to the end."""
    experiment = resolved(experiment)
    with contextlib.closing(Reporter(workdir, toys.record())) as reporter:
        progress = loop.fit(experiment, workdir, Signals(), reporter)
    assert progress.evaluated == experiment.steps and (workdir / "report.html").is_file()
