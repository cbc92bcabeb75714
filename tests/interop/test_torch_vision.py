"""Torchvision's names and axes for the image networks, and back."""

import functools
import os
import re
import sys

import jax
import numpy as np
import pytest

from nets.alexnet import AlexNet
from nets.densenet import DenseNet
from nets.errors import UserError
from nets.googlenet import GoogLeNet
from nets.inception import InceptionV3
from nets.interop.torch import load_weights, vision_from_torch, vision_to_torch
from nets.mobilenet import MobileNetV2
from nets.mobilenet_v3 import MobileNetV3
from nets.resnet import ResNet
from nets.vgg import VGG

SMALL_RESNET = ResNet((1, 2), width=4, num_classes=3)
# some names and shapes of torchvision 0.29's state dicts, and how many there are of any
MODELS = {
    "alexnet": (
        AlexNet(3, hidden=8),
        63,
        {"features.0.weight": (64, 3, 11, 11), "classifier.1.weight": (8, 9216)},
        16,
    ),
    "vgg11_bn": (
        VGG(11, 3, batch_norm=True, hidden=8),
        32,
        {"features.0.bias": (64,), "features.1.running_var": (64,), "classifier.6.bias": (3,)},
        8 * 6 + 6,
    ),
    "googlenet": (
        GoogLeNet(3, auxiliary=True),
        64,
        {"inception3a.branch2.0.conv.weight": (96, 192, 1, 1), "aux1.fc1.weight": (1024, 2048)},
        59 * 5 + 8 + 2,
    ),
    "inception_v3": (
        InceptionV3(3, auxiliary=True),
        299,
        {
            "Conv2d_1a_3x3.bn.running_mean": (32,),
            "Mixed_5b.branch5x5_1.conv.weight": (48, 192, 1, 1),
            "Mixed_6b.branch7x7dbl_5.bn.weight": (192,),
            "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
            "AuxLogits.conv0.conv.weight": (128, 768, 1, 1),
        },
        96 * 5 + 4,
    ),
    "resnet": (
        SMALL_RESNET,
        32,
        {"layer1.0.downsample.1.running_var": (16,), "layer2.1.conv2.weight": (8, 8, 3, 3)},
        (1 + 3 * 3 + 2) * 5 + 2,
    ),
    "mobilenet_v2": (
        MobileNetV2(num_classes=3),
        32,
        {
            "features.0.0.weight": (32, 3, 3, 3),
            "features.1.conv.1.weight": (16, 32, 1, 1),
            "features.2.conv.1.0.weight": (96, 1, 3, 3),
            "features.17.conv.3.running_var": (320,),
            "features.18.1.bias": (1280,),
            "classifier.1.weight": (3, 1280),
        },
        52 * 5 + 2,
    ),
    "mobilenet_v3_large": (
        MobileNetV3(num_classes=3),
        32,
        {
            "features.1.block.1.0.weight": (16, 16, 1, 1),
            "features.4.block.2.fc1.weight": (24, 72, 1, 1),
            "features.15.block.3.1.running_mean": (160,),
            "features.16.0.weight": (960, 160, 1, 1),
            "classifier.3.bias": (3,),
        },
        (2 + 2 + 14 * 3) * 5 + 8 * 4 + 4,
    ),
}


def variables(model, size):
    """Random ones, without computing anything."""
    x = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    shapes = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: rng.random(s.shape, np.float32), shapes)


@pytest.mark.parametrize("kind", MODELS)
def test_names_and_shapes_are_torchvisions_and_come_back(kind):
    model, size, some, count = MODELS[kind]
    ours = variables(model, size)
    theirs = vision_to_torch(ours, model)
    assert {name: theirs[name].shape for name in some} == some and len(theirs) == count
    back = vision_from_torch(theirs | {"bn1.num_batches_tracked": np.zeros(())}, model, ours)
    jax.tree.map(np.testing.assert_array_equal, back, ours)
    arrays = jax.tree.leaves(back)
    assert not any(np.shares_memory(a, b) for a in arrays for b in theirs.values())


def test_axes_by_hand():
    """out, in, height, width; flattened maps are channel by channel in torch."""
    model = AlexNet(3, hidden=8)
    ours = variables(model, 63)
    theirs = vision_to_torch(ours, model)
    kernel, dense = (ours["params"][k]["kernel"] for k in ("features_3", "classifier_1"))
    assert theirs["features.3.weight"][7, 5, 1, 2] == kernel[1, 2, 5, 7]
    place = (4 * 6 + 1) * 256 + 30  # row 4, column 1, channel 30
    assert theirs["classifier.1.weight"][2, 30 * 36 + 4 * 6 + 1] == dense[place, 2]
    assert theirs["classifier.4.weight"][2, 5] == ours["params"]["classifier_4"]["kernel"][5, 2]


def test_published_densenet_files_have_other_names():
    model = DenseNet(num_classes=3, layers=(2, 2), growth=4)
    ours = variables(model, 64)
    theirs = vision_to_torch(ours, model)
    name = "features.denseblock1.denselayer2.norm1.weight"
    assert name in theirs
    old = {re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", k): a for k, a in theirs.items()}
    assert "features.denseblock1.denselayer2.norm.1.weight" in old
    jax.tree.map(np.testing.assert_array_equal, vision_from_torch(old, model, ours), ours)


def test_table_of_what_does_not_fit():
    ours = variables(SMALL_RESNET, 32)
    theirs = vision_to_torch(ours, SMALL_RESNET)
    theirs["fc.weight"] = theirs["fc.weight"][:2]
    theirs["layer3.0.conv1.weight"] = theirs.pop("layer1.0.conv1.weight")
    with pytest.raises(ValueError) as error:
        vision_from_torch(theirs, SMALL_RESNET, ours)
    assert sorted(str(error.value).splitlines()) == [
        "fc.weight              [3, 32]       [2, 32]",
        "layer1.0.conv1.weight  [4, 4, 1, 1]  nothing",
        "layer3.0.conv1.weight  nothing       [4, 4, 1, 1]",
        "name                   expected      found",
        "these are not the weights of ResNet:",
    ]


def test_what_is_to_be_ignored():
    theirs = vision_to_torch(variables(SMALL_RESNET, 32), SMALL_RESNET)
    model = SMALL_RESNET.clone(num_classes=0)
    shapes = variables(model, 32)
    with pytest.raises(ValueError, match="fc.bias +nothing +.3."):
        vision_from_torch(theirs, model, shapes)
    found = vision_from_torch(theirs, model, shapes, ignore=("fc.",))
    assert "fc" not in found["params"]
    np.testing.assert_array_equal(found["params"]["bn1"]["bias"], theirs["bn1.bias"])


def test_files_that_are_not_weights(tmp_path):
    with pytest.raises(
        UserError, match=r"be a .safetensors, .pth or .pt file, got .*weights.npz\.$"
    ):
        load_weights(tmp_path / "weights.npz")


class Makes:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_torch_files_are_read_without_running_them(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.ones(2, 3, dtype=torch.bfloat16)}, tmp_path / "good.pth")
    (array,) = load_weights(tmp_path / "good.pth").values()
    assert array.shape == (2, 3) and str(array.dtype) == "bfloat16"
    others = {
        "code": {"a": Makes(str(tmp_path / "made"))},
        "nested": {"model": {"a": torch.ones(1)}, "epoch": 3},
    }
    for name, content in others.items():
        torch.save(content, tmp_path / f"{name}.pth")
        with pytest.raises(UserError, match=f"{name}.pth cannot be read: valid is a state dict"):
            load_weights(tmp_path / f"{name}.pth")
    assert not (tmp_path / "made").exists()
    for name, end in {"torn": 100, "empty": 0}.items():
        (tmp_path / f"{name}.pth").write_bytes((tmp_path / "good.pth").read_bytes()[:end])
        with pytest.raises(UserError, match=rf"{name}.pth cannot be read \(\w+Error: .*\)\.$"):
            load_weights(tmp_path / f"{name}.pth")


def test_safetensors_files_are_read(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    theirs = vision_to_torch(variables(SMALL_RESNET, 32), SMALL_RESNET)
    path = tmp_path / "weights.safetensors"
    save_file(theirs, path)
    found = load_weights(path)
    assert found.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(found[name], array)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="weights.safetensors cannot be read"):
        load_weights(path)


@pytest.mark.parametrize("package, suffix", [("safetensors", "safetensors"), ("torch", "pth")])
def test_a_package_that_is_not_there_is_named(package, suffix, tmp_path, monkeypatch):
    for module in [package, *(m for m in sys.modules if m.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"needs {package}: pip install {package}\.$"):
        load_weights(tmp_path / f"weights.{suffix}")


def test_a_file_for_another_architecture_gives_a_table_and_no_variables(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    other, model = MobileNetV2(num_classes=3), MobileNetV3(num_classes=3)
    save_file(vision_to_torch(variables(other, 32), other), tmp_path / "v2.safetensors")
    ours = variables(model, 32)
    before = jax.tree.map(np.copy, ours)
    with pytest.raises(ValueError) as error:
        vision_from_torch(load_weights(tmp_path / "v2.safetensors"), model, ours)
    heading, _, *rows = str(error.value).splitlines()
    assert heading == "these are not the weights of MobileNetV3:"
    rows = dict(row.split(maxsplit=1) for row in rows)
    assert rows["classifier.1.weight"].split() == ["nothing", "[3,", "1280]"]
    assert rows["features.1.block.0.0.weight"].split() == ["[16,", "1,", "3,", "3]", "nothing"]
    assert rows["features.0.0.weight"].split() == "[16, 3, 3, 3] [32, 3, 3, 3]".split()
    jax.tree.map(np.testing.assert_array_equal, ours, before)
