"""The real sets that experiments read by path: as many examples of each split as were published."""

import os
from pathlib import Path

import numpy as np
import pytest

from nets.cli import config
from nets.cli.catalogue import load
from tests.support.experiments import FOLDER

RAW = os.environ.get("NETS_RAW_DIR")
SETS = {
    "attention_multi30k": ({"folder": "multi30k"}, {"validation": 1014, "test": 1000}),
    "chunking_conll2000": (
        {"path": "conll2000/train.txt.gz", "test_path": "conll2000/test.txt.gz"},
        {"test": 2012},
    ),
    "memn2n_babi": ({"path": "babi"}, {"test": 20_000}),
    "tagging_ud": (
        {
            "path": "ud_english_ewt/train.tsv.gz",
            "validation_path": "ud_english_ewt/dev.tsv.gz",
            "test_path": "ud_english_ewt/test.tsv.gz",
        },
        {"validation": 2001, "test": 2077},
    ),
    "unet_camvid": ({"path": "camvid"}, {"validation": 101, "test": 233}),
    "vqa_easy": ({"path": "easy_vqa"}, {"test": 9673}),
}


@pytest.mark.skipif(not RAW, reason="NETS_RAW_DIR names no folder of real sets")
@pytest.mark.parametrize("name", SETS)
def test_every_example_is_read_once(name):
    paths, counts = SETS[name]
    given = {f"data.{field}": str(Path(RAW) / path) for field, path in paths.items()}
    data = config.replace(load(name, FOLDER), given).data
    for split, count in counts.items():
        masks = (batch["mask"].reshape(len(batch["mask"]), -1) for batch in data.evaluate(split))
        assert sum(int(mask.any(1).sum()) for mask in masks) == count
    known, first = data.spec().arrays, data.train(0)[0]
    assert first.keys() == known.keys()
    for field, (shape, dtype) in known.items():
        assert first[field].dtype == dtype and len(first[field]) == shape[0]
        assert np.all(np.array(first[field].shape) <= shape)
