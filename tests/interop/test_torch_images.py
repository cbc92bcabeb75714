"""Torchvision's names and axes for the image networks, and back."""

import functools
import math
import re

import jax
import numpy as np
import pytest

from nets.alexnet import AlexNet
from nets.densenet import DenseNet
from nets.googlenet import GoogLeNet
from nets.inception import InceptionV3
from nets.interop.torch_images import images_from_torch, images_to_torch, read
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
    theirs = images_to_torch(ours, model)
    assert {name: theirs[name].shape for name in some} == some and len(theirs) == count
    back = images_from_torch(theirs | {"bn1.num_batches_tracked": np.zeros(())}, model, ours)
    jax.tree.map(np.testing.assert_array_equal, back, ours)
    arrays = jax.tree.leaves(back)
    assert not any(np.shares_memory(a, b) for a in arrays for b in theirs.values())


def test_axes_by_hand():
    """out, in, height, width; flattened maps are channel by channel in torch."""
    model = AlexNet(3, hidden=8)
    ours = variables(model, 63)
    theirs = images_to_torch(ours, model)
    kernel, dense = (ours["params"][k]["kernel"] for k in ("features_3", "classifier_1"))
    assert theirs["features.3.weight"][7, 5, 1, 2] == kernel[1, 2, 5, 7]
    place = (4 * 6 + 1) * 256 + 30  # row 4, column 1, channel 30
    assert theirs["classifier.1.weight"][2, 30 * 36 + 4 * 6 + 1] == dense[place, 2]
    assert theirs["classifier.4.weight"][2, 5] == ours["params"]["classifier_4"]["kernel"][5, 2]


def test_published_densenet_files_have_other_names():
    model = DenseNet(num_classes=3, layers=(2, 2), growth=4)
    ours = variables(model, 64)
    theirs = images_to_torch(ours, model)
    name = "features.denseblock1.denselayer2.norm1.weight"
    assert name in theirs
    old = {re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", k): a for k, a in theirs.items()}
    assert "features.denseblock1.denselayer2.norm.1.weight" in old
    jax.tree.map(np.testing.assert_array_equal, images_from_torch(old, model, ours), ours)


def test_table_of_what_does_not_fit():
    ours = variables(SMALL_RESNET, 32)
    theirs = images_to_torch(ours, SMALL_RESNET)
    theirs["fc.weight"] = theirs["fc.weight"][:2]
    theirs["layer3.0.conv1.weight"] = theirs.pop("layer1.0.conv1.weight")
    with pytest.raises(ValueError) as error:
        images_from_torch(theirs, SMALL_RESNET, ours)
    assert sorted(str(error.value).splitlines()) == [
        "fc.weight              [3, 32]       [2, 32]",
        "layer1.0.conv1.weight  [4, 4, 1, 1]  nothing",
        "layer3.0.conv1.weight  nothing       [4, 4, 1, 1]",
        "name                   expected      found",
        "these are not the weights of ResNet:",
    ]


def test_what_is_to_be_ignored():
    theirs = images_to_torch(variables(SMALL_RESNET, 32), SMALL_RESNET)
    model = SMALL_RESNET.clone(num_classes=0)
    shapes = variables(model, 32)
    with pytest.raises(ValueError, match="fc.bias +nothing +.3."):
        images_from_torch(theirs, model, shapes)
    found = images_from_torch(theirs, model, shapes, ignore=("fc.",))
    assert "fc" not in found["params"]
    np.testing.assert_array_equal(found["params"]["bn1"]["bias"], theirs["bn1.bias"])


def test_files_that_are_not_weights(tmp_path):
    with pytest.raises(ValueError, match=r"end in .safetensors, .pth or .pt$"):
        read(tmp_path / "weights.npz")


def test_torch_files_are_read_without_running_them(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.ones(2, 3, dtype=torch.bfloat16)}, tmp_path / "good.pth")
    (array,) = read(tmp_path / "good.pth").values()
    assert array.shape == (2, 3) and str(array.dtype) == "bfloat16"
    torch.save({"a": math.sin}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="bad.pth cannot be read"):
        read(tmp_path / "bad.pth")
    (tmp_path / "torn.pth").write_bytes((tmp_path / "good.pth").read_bytes()[:100])
    with pytest.raises(ValueError, match="torn.pth cannot be read"):
        read(tmp_path / "torn.pth")
