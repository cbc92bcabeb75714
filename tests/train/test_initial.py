"""Parameters taken from another run: without the head, a renamed subtree, refusals."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from nets.errors import UserError
from nets.optim.averages import EMA
from nets.optim.optimizer import Optimizer
from nets.optim.paths import flatten
from nets.train import resume, sharding
from nets.train.signals import Signals
from tests.support import toys
from tests.support.launching import launch, main
from tests.train.test_loop import fit


class Nested(nn.Module):
    """The toy's network below one more name, and a head of its own."""

    num_classes: int = 4

    @nn.compact
    def __call__(self, x, *, train, stages=False):
        x = toys.BatchNormNet(num_classes=7, name="eyes")(x, train=train)
        return nn.Dense(self.num_classes, name="head")(x)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    fit(toys.classifier(model=toys.BatchNormNet(num_classes=7), average=EMA(0.9)), folder)
    return folder


def begun(tmp_path, **changes):
    """The state that a run begins with, and what it says."""
    said = []
    experiment = toys.classifier(**changes)
    state, *_ = resume.restore(
        experiment, tmp_path, sharding.make(), Signals(), pytest.fail, said.append
    )
    return state, "\n".join(said)


def afresh(tmp_path, **changes):
    return flatten(begun(tmp_path, **changes)[0].params)


def test_a_head_is_exchanged_for_another_number_of_classes(first, tmp_path):
    _, arrays = resume.best(first, print)
    given = {"model": toys.BatchNormNet(num_classes=5), "average": EMA(0.5)}
    state, said = begun(tmp_path, init_from=str(first), init_exclude=("Dense_1/*",), **given)
    params, fresh = flatten(state.params), afresh(tmp_path, **given)
    for path, value in params.items():
        head = path.startswith("Dense_1/")
        np.testing.assert_array_equal(value, fresh[path] if head else arrays[f"average/{path}"])
        np.testing.assert_array_equal(flatten(state.average)[path], value)
    for path, value in flatten(state.model_state).items():
        np.testing.assert_array_equal(value, arrays[f"model_state/{path}"])
        assert not np.array_equal(value, np.zeros(16)) and not np.array_equal(value, np.ones(16))
    lines = [line.split(maxsplit=2) for line in said.splitlines()[1:]]
    assert lines == [
        ["taken", "BatchNorm_0/bias", "[16]"],
        ["taken", "BatchNorm_0/scale", "[16]"],
        ["taken", "Dense_0/bias", "[16]"],
        ["taken", "Dense_0/kernel", "[16, 16]"],
        ["missing", "Dense_1/bias", "[5]"],
        ["missing", "Dense_1/kernel", "[16, 5]"],
        ["left", "Dense_1/bias", "[7]"],
        ["left", "Dense_1/kernel", "[16, 7]"],
    ]


def test_statistics_belong_to_their_modules(first, tmp_path):
    given = {"model": toys.BatchNormNet(num_classes=7)}
    fresh, _ = begun(tmp_path, **given)
    state, _ = begun(tmp_path, init_from=str(first), init_include=("Dense_?/*",), **given)
    jax.tree.map(np.testing.assert_array_equal, state.model_state, fresh.model_state)
    np.testing.assert_array_equal(state.params["BatchNorm_0"]["scale"], np.ones(16))
    assert not np.array_equal(state.params["Dense_0"]["kernel"], fresh.params["Dense_0"]["kernel"])


@pytest.mark.parametrize(
    ("renames", "taken"),
    [
        (("=eyes",), {"Dense_0", "Dense_1", "BatchNorm_0"}),
        (("Dense_0=eyes/Dense_0", "Dense_1/bias=eyes/Dense_1/bias"), {"Dense_0", "Dense_1/bias"}),
    ],
)
def test_a_subtree_may_have_another_name(renames, taken, first, tmp_path):
    _, arrays = resume.best(first, print)
    chosen = tuple(f"eyes/{name}*" for name in taken)
    state, said = begun(
        tmp_path, model=Nested(), init_from=str(first), init_include=chosen, init_rename=renames
    )
    fresh = afresh(tmp_path, model=Nested())
    for path, value in flatten(state.params).items():
        old = path.removeprefix("eyes/")
        same = path.startswith("eyes/") and old.startswith(tuple(taken))
        np.testing.assert_array_equal(value, arrays[f"average/{old}"] if same else fresh[path])
        assert (f"  taken    {path} " in said) == same


def test_what_is_chosen_must_fit(first, tmp_path):
    given = {"model": toys.BatchNormNet(num_classes=5), "init_from": str(first)}
    shapes = (
        r"Dense_1/kernel: checkpoint has float32\[16, 7\], this experiment needs float32\[16, 5\]"
    )
    with pytest.raises(UserError, match=rf"{shapes}(.|\n)*init_exclude=PATTERN,\.\.\. leaves"):
        begun(tmp_path, **given)
    with pytest.raises(UserError, match="eyes/Dense_0/kernel: checkpoint has nothing"):
        begun(tmp_path, model=Nested(), init_from=str(first), init_include=("eyes/*",))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"init_exclude": ("head/*",)}, r"^init_exclude has head/\*, .* near are"),
        ({"init_include": ("dense_0/*",)}, r"^init_include has dense_0/\*, .* Dense_0/\*"),
        ({"init_rename": ("Dense_2=a",)}, "^init_rename has Dense_2, which .* near are Dense_"),
        ({"init_rename": ("Dense_0",)}, "^init_rename must be old=new paths, got Dense_0"),
        ({"init_rename": ("Dense_0=Dense_1",)}, "^init_rename gives two parameters"),
    ],
)
def test_patterns_and_names_for_nothing_are_refused(wrong, message, first, tmp_path):
    model = toys.BatchNormNet(num_classes=7)
    with pytest.raises(UserError, match=message):
        begun(tmp_path, model=model, init_from=str(first), **wrong)
    with pytest.raises(UserError, match="^init_from must be given with"):
        toys.classifier(init_exclude=("head/*",))


def test_a_run_that_began_so_goes_on_from_its_own_checkpoint(first, tmp_path):
    experiment = toys.classifier(
        init_from=str(first), init_exclude=("Dense_1/*",),
        optimizer=Optimizer(freeze=("Dense_0/*",)),
    )  # fmt: skip
    assert fit(experiment, tmp_path, at=7) is None
    fit(experiment, tmp_path)
    begin, end = (resume.newest(run, print)[1] for run in (first, tmp_path))
    kept = resume.best(first, print)[1]["average/Dense_0/kernel"]
    np.testing.assert_array_equal(end["params/Dense_0/kernel"], kept)
    assert end["params/Dense_1/kernel"].shape != begin["params/Dense_1/kernel"].shape


@pytest.mark.slow
def test_the_command_line_says_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = ("--experiment=mlp_digits", "--steps=5", "--model.widths=9")
    launch(*small, "--workdir=first", cwd=tmp_path)
    other = ("--experiment=mlp_digits", "--steps=5", "--model.widths=9,8", "--init_from=first")
    assert main(*other, "--workdir=second") == 2
    error = capsys.readouterr().err
    assert "checkpoint has float32[9, 10], this experiment needs float32[8, 10]" in error
    assert not (tmp_path / "second").exists()
    paths = [line.split()[0].strip(":") for line in error.splitlines() if "checkpoint has" in line]
    exclude = "--init_exclude=" + ",".join(sorted({f"{p.split('/')[1]}/*" for p in paths}))
    out, _ = launch(*other, exclude, "--workdir=second", cwd=tmp_path)
    assert "  taken    " in out and "  missing  " in out and "  left     " in out
