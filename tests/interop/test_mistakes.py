"""Converters given an argument of another kind, or in another's place, say which in one line."""

import re

import jax
import numpy as np
import pytest
from flax import linen as nn

from nets.interop.backbone import with_backbone
from nets.interop.torch import (
    attention_from_torch,
    attention_to_torch,
    recurrent_from_torch,
    recurrent_to_torch,
    vision_from_torch,
    vision_to_torch,
)
from nets.lstm import LSTM
from nets.mlp import MLP

MODEL, CELL = MLP((4,), num_classes=2), LSTM(2)
VARIABLES = jax.tree.map(np.asarray, MODEL.init(jax.random.key(0), np.zeros((1, 3)), train=False))
STATE = vision_to_torch(VARIABLES, MODEL)
PARAMS = {"layer_0": {"kernel": np.zeros((3, 8))}}
LIST = [("weight", 1)]

FROM = "vision_from_torch(state_dict, model, variables): "
TO = "vision_to_torch(variables, model): "
RECURRENT = "recurrent_from_torch(state_dict, cell): "
BACKBONE = "with_backbone(variables, backbone): "
MISTAKES = {
    "model first": (
        vision_from_torch,
        (MODEL, STATE, VARIABLES),
        FROM + "state_dict must be a mapping, got an object of type MLP",
    ),
    "variables first": (
        vision_from_torch,
        (VARIABLES, MODEL, STATE),
        FROM + "state_dict must map names to tensors or arrays, but 'params' is a mapping",
    ),
    "variables second": (
        vision_from_torch,
        (STATE, VARIABLES, MODEL),
        FROM + "model must be a network such as ResNet(...), got an object of type dict",
    ),
    "the class": (
        vision_from_torch,
        (STATE, MLP, VARIABLES),
        FROM + "model must be a network such as ResNet(...), got the class MLP",
    ),
    "parameters for variables": (
        vision_from_torch,
        (STATE, MODEL, VARIABLES["params"]),
        FROM
        + 'variables must have a collection "params", as returned by init, got hidden_0, output',
    ),
    "a list": (
        vision_from_torch,
        (LIST, MODEL, VARIABLES),
        FROM + "state_dict must be a mapping, got an object of type list",
    ),
    "vision_to_torch": (
        vision_to_torch,
        (MODEL, VARIABLES),
        TO + "variables must be a mapping, got an object of type MLP",
    ),
    "vision_to_torch with a cell's": (
        vision_to_torch,
        (PARAMS, MODEL),
        TO + 'variables must have a collection "params", as returned by init, got layer_0',
    ),
    "recurrent_from_torch": (
        recurrent_from_torch,
        (CELL, STATE),
        RECURRENT + "state_dict must be a mapping, got an object of type LSTM",
    ),
    "its cell a number": (
        recurrent_from_torch,
        (STATE, 64),
        "cell must be a recurrent cell such as LSTM(64), got 64; write LSTM(64)",
    ),
    "its cell a class": (
        recurrent_from_torch,
        (STATE, LSTM),
        "cell must be a recurrent cell such as LSTM(64), got the class LSTM; write LSTM(64)",
    ),
    "recurrent_to_torch": (
        recurrent_to_torch,
        (CELL, PARAMS),
        "recurrent_to_torch(params, cell): params must be a mapping, got an object of type LSTM",
    ),
    "attention_from_torch": (
        attention_from_torch,
        (8, STATE),
        "attention_from_torch(state_dict, features): state_dict must be a mapping, got an object "
        "of type int",
    ),
    "its features a model": (
        attention_from_torch,
        (STATE, nn.Dense),
        "attention_from_torch(state_dict, features): features must be an int, got the class Dense",
    ),
    "attention_to_torch": (
        attention_to_torch,
        (8,),
        "attention_to_torch(params): params must be a mapping, got an object of type int",
    ),
    "with_backbone": (
        with_backbone,
        (VARIABLES, {"params": {"backbone": VARIABLES["params"]}}),
        BACKBONE + "variables must have a module 'backbone', got hidden_0, output",
    ),
    "with_backbone's parameters": (
        with_backbone,
        ({"params": {"backbone": VARIABLES["params"]}}, VARIABLES["params"]),
        BACKBONE
        + 'backbone must have a collection "params", as returned by init, got hidden_0, output',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(mistake):
    convert, arguments, message = MISTAKES[mistake]
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        convert(*arguments)


def test_names_to_ignore_are_a_sequence():
    with pytest.raises(
        TypeError, match=r"ignore must be a sequence such as \('fc.',\), got 'fc.'$"
    ):
        vision_from_torch(STATE, MODEL, VARIABLES, ignore="fc.")


def test_what_is_in_its_place_is_taken():
    jax.tree.map(
        np.testing.assert_array_equal, vision_from_torch(STATE, MODEL, VARIABLES), VARIABLES
    )
