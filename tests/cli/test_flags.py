"""Fields as flags: against values worked out by hand."""

import dataclasses
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from absl import flags as absl_flags
from jax.typing import DTypeLike

from nets.cli import flags
from nets.errors import UserError
from nets.train import config
from nets.types import Activation


@dataclasses.dataclass(frozen=True)
class Small:
    """A cell.

    Attributes:
        features: units.
    """

    features: int = 3


@dataclasses.dataclass(frozen=True)
class Large:
    """Another cell.

    Attributes:
        features: units.
        gates: how many.
    """

    features: int = 5
    gates: int = 2


class Net(nn.Module):
    """A module.

    Attributes:
        cell: the recurrent cell.
        widths: numbers of units, which take
            two lines to explain.
        rate: a share, or none.
    """

    cell: Small | Large = Small()
    widths: tuple[int, ...] = (6, 16)
    rate: float | None = None
    dtype: DTypeLike = jnp.float32
    activation: Activation = nn.relu
    kind: Literal["a", "b"] = "a"
    flip: bool = False

    def __call__(self, x):
        return x


@dataclasses.dataclass(frozen=True)
class Root:
    """A root.

    Attributes:
        model: the net.
        steps: how many.
    """

    model: nn.Module = Net()
    steps: int = 10


def parse(*arguments, tree=Root()):  # noqa: B008
    tree = flags.choose(tree, list(arguments))
    values = absl_flags.FlagValues()
    flags.define(tree, values, "test", skip=())
    values(["", *arguments])
    return config.replace(tree, flags.given(tree, values))


def test_every_type_of_field_is_a_flag():
    root = parse(
        "--steps=7", "--model.widths=1,2,3", "--model.rate=0.5", "--model.dtype=bfloat16",
        "--model.activation=gelu", "--model.kind=b", "--model.flip", "--model.cell.features=9",
    )  # fmt: skip
    assert root.steps == 7 and root.model.widths == (1, 2, 3) and root.model.rate == 0.5
    assert root.model.dtype == jnp.bfloat16 and root.model.activation is jax.nn.gelu
    assert root.model.kind == "b" and root.model.flip and root.model.cell == Small(9)
    assert parse("--model.rate=none", tree=root).model.rate is None
    assert parse("--nomodel.flip", tree=root).model.flip is False


def test_a_module_is_chosen_by_name_and_then_brings_its_fields():
    root = parse("--model.cell=large", "--model.cell.gates=4")
    assert root.model.cell == Large(features=3, gates=4)  # what both have is kept
    assert parse("--model.cell", "large").model.cell == Large(3, 2)
    with pytest.raises(UserError, match="gru.*small, large"):
        parse("--model.cell=gru")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--steps=many", "'many' is not an integer"),
        ("--model.rate=high", "'high' is not a number"),
        ("--model.kind=c", "'c' is not one of a, b"),
        ("--model.dtype=int3", "not one of float32"),
        ("--model.activation=rleu", "no activation 'rleu'"),
        ("--model.widths=1,x", "'x' is not an integer"),
        ("--model.featurs=1", "Did you mean"),
    ],
)
def test_what_is_wrong_is_said(argument, message):
    with pytest.raises(absl_flags.Error, match=message):
        parse(argument, tree=Root(model=Net(cell=Large())))


def test_help_is_read_from_the_docstring():
    assert config.help_of(Net)["widths"] == "numbers of units, which take two lines to explain."
    assert config.help_of(Root) == {"model": "the net.", "steps": "how many."}


def test_config_is_json_and_names_classes():
    found = config.to_dict(Root())
    assert found["model"].endswith("Net") and found["model.cell"].endswith("Small")
    assert found["model.widths"] == [6, 16] and found["model.dtype"] == "float32"
    assert found["model.activation"] == "relu" and found["model.rate"] is None


@pytest.mark.parametrize("root", [Root(), Root(Net(Large(), (), 0.1, jnp.bfloat16, nn.silu))])
def test_text_of_a_value_parses_back(root):
    texts = [f"--{leaf.path}={config.to_text(leaf.value)}" for leaf in config.leaves(root)]
    assert config.to_dict(parse(*texts)) == config.to_dict(root)
