"""Fields as flags: against values worked out by hand."""

import dataclasses
from typing import Literal

import absl.flags
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax.typing import DTypeLike

from nets.cli import config, flags
from nets.errors import UserError
from nets.types import Activation, Epochs, Steps


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
class Needy:
    """A cell that needs to be told.

    Attributes:
        sizes: of its parts.
        features: units.
    """

    sizes: tuple[int, ...]
    features: int = 7


@dataclasses.dataclass(frozen=True)
class Root:
    """A root.

    Attributes:
        model: the net.
        steps: how many.
        extra: another cell, or none.
    """

    model: nn.Module = Net()
    steps: int = 10
    extra: None | Large | Needy = None


def parse(*arguments, tree=Root()):  # noqa: B008
    tree = flags.choose(tree, list(arguments))
    values = absl.flags.FlagValues()
    flags.define(tree, values, "test", skip=())
    values(["", *arguments])
    return config.replace(tree, flags.changed(tree, values))


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
    with pytest.raises(UserError, match="^model.cell must be one of small, large, got gru"):
        parse("--model.cell=gru")


def test_steps_may_be_epochs():
    @dataclasses.dataclass(frozen=True)
    class Long:
        every: Steps = 500
        milestones: tuple[Steps, ...] = (1, Epochs(2))

    for text, value in (("7", 7), ("1.5epochs", Epochs(1.5)), ("1 epoch", Epochs(1))):
        found = parse(f"--every={text}", tree=Long()).every
        assert (type(found), found) == (type(value), value)
    assert list(map(config.to_text, (Epochs(1.5), Long().milestones))) == ["1.5epochs", "1,2epochs"]
    found = parse("--milestones=3,1e3epochs", tree=Long()).milestones
    assert found == (3, 1000) and isinstance(found[1], Epochs)
    for wrong in ("many", "epochs", "1.5", "1.5steps", "nanepochs"):
        with pytest.raises(absl.flags.Error, match=r"not a number of steps \(500\) or epochs"):
            parse(f"--every={wrong}", tree=Long())


def test_a_union_with_none_is_chosen_by_none_and_needs_its_fields_at_once():
    assert parse().extra is None and parse("--extra=large").extra == Large()
    full = Root(extra=Needy((1, 2), 9))
    assert parse("--extra=none", tree=full).extra is None
    assert parse("--extra=needy", "--extra.sizes=3,4").extra == Needy((3, 4))
    assert parse("--extra=large", tree=full).extra == Large(9)
    needed = r"^extra.sizes must be given: --extra=needy needs it\.$"
    with pytest.raises(UserError, match=needed):
        parse("--extra=needy")
    with pytest.raises(UserError, match=r"^extra.sizes cannot be read: 'x' is not an integer\.$"):
        parse("--extra=needy", "--extra.sizes=x")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--steps=many", "'many' is not an integer"),
        ("--model.rate=high", "'high' is not a number"),
        ("--model.kind=c", "'c' is not one of a, b"),
        ("--model.dtype=int3", "not one of float32"),
        ("--model.activation=rleu", "'rleu' is no function of jax.nn or jax.numpy"),
        ("--model.widths=1,x", "'x' is not an integer"),
        ("--steps=1e3", "'1e3' is not an integer"),
        ("--steps=", "'' is not an integer"),
        ("--model.rate=nan", "'nan' is not a finite number"),
        ("--model.rate=-inf", "'-inf' is not a finite number"),
        ("--model.rate=1e400", "'1e400' is not a finite number"),
        ("--model.rate=1e39", "'1e39' is not a finite number of float32"),
        ("--model.widths=1,,2", "'1,,2' has an empty value"),
        ("--model.widths=,", "',' has an empty value"),
        ("--model.dtype=int32", "'int32' is not one of float32"),
        ("--model.flip=perhaps", "model.flip=perhaps: 'perhaps' is not true or false"),
        ("--model.featurs=1", "Did you mean"),
    ],
)
def test_what_is_wrong_is_said(argument, message):
    with pytest.raises(absl.flags.Error, match=message):
        parse(argument, tree=Root(model=Net(cell=Large())))


@pytest.mark.parametrize(
    "name",
    # of another rank, shape or type; of more arguments or none; of values, not of shapes; no arrays
    ["sum", "cumsum", "transpose", "glu", "isnan", "argsort", "where", "one_hot", "zeros", "arange",
     "einsum", "save", "load", "meshgrid", "set_printoptions", "float32", "linalg", "pi"],
)  # fmt: skip
def test_a_function_that_is_no_activation_is_refused(name):
    printed = repr(jnp.array([1.5]))
    with pytest.raises(absl.flags.Error, match=rf"'{name}' .*shape and type \(relu, tanh"):
        parse(f"--model.activation={name}")
    assert repr(jnp.array([1.5])) == printed


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "softmax", "hard_swish", "sin", "square"])
def test_an_activation_is_of_jax_nn_or_of_jax_numpy(name):
    found = parse(f"--model.activation={name}", tree=Root(Net(activation=nn.elu))).model.activation
    assert found is (getattr(jax.nn, name) if name in dir(jax.nn) else getattr(jnp, name))


def test_float64_needs_64_bit_types_switched_on():
    with jax.enable_x64(False), pytest.raises(absl.flags.Error, match="'float64' needs .*_X64=1"):
        parse("--model.dtype=float64")
    with jax.enable_x64(True):
        assert parse("--model.dtype=float64").model.dtype == jnp.float64


def test_an_empty_tuple_is_written_as_nothing():
    assert parse("--model.widths=").model.widths == ()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("--model.flip", True), ("--model.flip=false", False), ("--nomodel.flip", False),
     ("--model.flip=1", True)],
)  # fmt: skip
def test_a_boolean_is_written_as_absls_are(argument, value):
    assert parse(argument, tree=Root(Net(flip=not value))).model.flip is value


def test_help_is_read_from_the_docstring():
    assert config.help_of(Net)["widths"] == "numbers of units, which take two lines to explain."
    assert config.help_of(Root) == {
        "model": "the net.", "steps": "how many.", "extra": "another cell, or none."
    }  # fmt: skip


def test_config_is_json_and_names_classes():
    found = config.to_dict(Root())
    assert found["model"].endswith("Net") and found["model.cell"].endswith("Small")
    assert found["model.widths"] == [6, 16] and found["model.dtype"] == "float32"
    assert found["model.activation"] == "relu" and found["model.rate"] is None


@pytest.mark.parametrize("root", [Root(), Root(Net(Large(), (), 0.1, jnp.bfloat16, nn.silu))])
def test_text_of_a_value_parses_back(root):
    texts = [f"--{leaf.path}={config.to_text(leaf.value)}" for leaf in config.leaves(root)]
    assert config.to_dict(parse(*texts)) == config.to_dict(root)
