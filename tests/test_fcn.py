"""FCN: published counts, alignment of the upsampled maps, any backbone, any size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.alexnet import AlexNet
from nets.convnet import ConvNet
from nets.fcn import FCN, DilatedFCN, FCN8s, FCN16s, FCN32s, FCNResNet50, upsampled_to
from nets.inception import InceptionV3
from nets.layers.conv_transpose import ConvTranspose
from nets.layers.upsampling import bilinear_init
from nets.mobilenet import MobileNetV2
from nets.resnet import ResNet, ResNet18
from nets.vgg import VGG
from tests.layers.test_upsampling import interpolated
from tests.test_resnet import random_variables

SMALL = ConvNet((4, 4, 8), (3, 3, 3), num_classes=0)


def outputs(model, *shape, train=False, **options):
    """Shapes of the output and of the variables."""
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    run = functools.partial(model.init_with_output, train=train, **options)
    return jax.eval_shape(run, keys, jax.ShapeDtypeStruct(shape, jnp.float32))


def count(model, *shape):
    return sum(a.size for a in jax.tree.leaves(outputs(model, *shape)[1]["params"]))


@pytest.mark.parametrize(
    "network, parameters",
    [(FCN32s, 136_152_917), (FCN16s, 134_815_994), (FCN8s, 134_489_759)],
)
def test_the_published_networks_have_their_published_parameters(network, parameters):
    model = network(num_classes=21)
    assert count(model, 1, 224, 224, 3) == parameters
    for height, width in ((500, 375), (33, 64), (1, 2)):
        assert outputs(model, 1, height, width, 3)[0].shape == (1, height, width, 21)


def test_torchvisions_form_has_its_parameters():
    whole = FCNResNet50(num_classes=21, auxiliary=True)
    assert count(whole, 1, 64, 64, 3) == 35_322_218
    # the auxiliary head: 3x3 from 1,024 to 256 channels, scale and bias, 1x1 with bias
    head = 9 * 1024 * 256 + 2 * 256 + 256 * 21 + 21
    assert count(FCNResNet50(num_classes=21), 1, 64, 64, 3) == 35_322_218 - head


@pytest.mark.parametrize(
    "backbone, stages, strides, size",
    [
        (SMALL, ("pool1", "pool2", "pool3"), (2, 4, 8), (29, 42)),
        (SMALL, ("pool3",), (8,), (8, 9)),
        (VGG(11, num_classes=0), ("pool3", "pool4", "pool5"), (8, 16, 32), (63, 95)),
        (ResNet18(num_classes=0), ("layer2", "layer3", "layer4"), (8, 16, 32), (33, 50)),
        (ResNet18(num_classes=0, dilated_stages=1), ("layer2", "layer4"), (8, 16), (33, 50)),
        (MobileNetV2(num_classes=0), ("block6", "block13"), (8, 16), (45, 60)),
        (AlexNet(num_classes=0), ("pool2", "pool5"), (16, 32), (180, 240)),
        (InceptionV3(num_classes=0), ("Mixed_5d", "Mixed_6e"), (8, 16), (180, 240)),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "dtype") else None,
)
def test_any_backbone_and_any_size(backbone, stages, strides, size):
    model = FCN(backbone, stages, strides, num_classes=3, hidden=(8,), window=3)
    assert outputs(model, 2, *size, 3)[0].shape == (2, *size, 3)


@pytest.mark.parametrize("factor", [2, 3, 8])
@pytest.mark.parametrize("extra", [0, -1, 1])
def test_scores_at_the_start_are_interpolated_over_their_pixels(factor, extra):
    """Also for sizes that pooling has rounded down (1) or up (-1)."""
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32)
    size = (4 * factor + extra, 5 * factor + extra)
    upsample = ConvTranspose(
        2, (2 * factor - factor % 2,) * 2, factor, "VALID", use_bias=False,
        kernel_init=bilinear_init,
    )  # fmt: skip
    found = upsample.bind({"params": {"kernel": bilinear_init(0, (*upsample.window, 2, 2), "f4")}})
    found = upsampled_to(x, size, found)
    want = interpolated(x, (4 * factor, 5 * factor))
    rows, columns = (min(n, m) for n, m in zip(size, want.shape[1:3], strict=True))
    assert found.shape == (1, *size, 2)
    np.testing.assert_allclose(found[:, :rows, :columns], want[:, :rows, :columns], atol=1e-5)


def test_scores_of_a_map_without_padding_lie_in_the_middle():
    x = np.arange(4.0, dtype=np.float32).reshape(1, 4, 1, 1)
    kernel = bilinear_init(0, (4, 4, 1, 1), "f4")
    upsample = ConvTranspose(1, (4, 4), 2, "VALID", use_bias=False)
    found = upsampled_to(x, (14, 2), upsample.bind({"params": {"kernel": kernel}}))
    middle = [0, 0, 0, 0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3, 3, 3, 3]
    np.testing.assert_allclose(found[0, :, 0, 0], middle)


def test_it_starts_with_equal_scores_and_learns_in_all_parts():
    backbone = ConvNet((4, 8), (3, 3), num_classes=0)
    model = FCN(backbone, ("pool1", "pool2"), (2, 4), 3, (8, 8), 3, dropout=0.0)
    x = jax.random.normal(jax.random.key(2), (2, 20, 27, 3))
    variables = jax.jit(functools.partial(model.init, train=False))(jax.random.key(0), x)
    assert not jax.jit(functools.partial(model.apply, train=False))(variables, x).any()

    @jax.jit
    def gradient(params, variables):
        def loss(params):
            y, _ = model.apply(
                variables | {"params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.square(y - 1).sum()

        return jax.grad(loss)(params)

    variables = random_variables(model, *x.shape)
    slopes = gradient(variables["params"], variables)
    leaves = jax.tree_util.tree_leaves_with_path(slopes)
    assert [path for path, a in leaves if not np.any(a)] == []
    scores = {"score_pool1", "score_pool2", "upsample_pool1", "upsample_pool2"}
    assert slopes.keys() == scores | {"fc6", "fc7", "backbone"}


def test_dropout_is_for_training_alone():
    model = FCN(SMALL, ("pool3",), (8,), num_classes=2, hidden=(16,), window=1, dropout=0.9)
    x = jax.random.normal(jax.random.key(2), (1, 16, 16, 3))
    variables = random_variables(model, *x.shape)

    @functools.partial(jax.jit, static_argnames="train")
    def run(seed, train):
        keys = {"dropout": jax.random.key(seed)}
        return model.apply(variables, x, train=train, rngs=keys, mutable=["batch_stats"])[0]

    assert np.any(run(0, train=True) != run(1, train=True))
    np.testing.assert_array_equal(run(0, train=False), run(1, train=False))


@pytest.mark.parametrize("name", ["FCN", "DilatedFCN"])
def test_logits_are_float32(name):
    made = {
        "FCN": FCN(SMALL, ("pool3",), (8,), hidden=(8,), num_classes=3, dtype=jnp.bfloat16),
        "DilatedFCN": DilatedFCN(SMALL, "pool3", num_classes=3, dtype=jnp.bfloat16),
    }
    assert outputs(made[name], 1, 16, 16, 3)[0].dtype == jnp.float32


def test_the_auxiliary_head_runs_while_training_and_with_stages():
    backbone = ResNet((1, 1, 1, 1), width=8, num_classes=0, dilated_stages=2)
    model = DilatedFCN(backbone, num_classes=5, auxiliary=True)
    _, variables = outputs(model, 1, 24, 33, 3)
    run = functools.partial(model.apply, rngs={"dropout": jax.random.key(0)})
    x = jnp.zeros((1, 24, 33, 3))
    for train, stages in ((False, False), (False, True), (True, False), (True, True)):
        made = functools.partial(run, train=train, stages=stages, mutable=["batch_stats"])
        found, _ = jax.eval_shape(made, variables, x)
        logits, others = found if stages else (found, {})
        assert logits.shape == (1, 24, 33, 5)
        assert ("aux1" in others) == (train and stages)
        assert not stages or others["layer4"].shape == (1, 3, 5, 256)
    assert others["aux1"].shape == (1, 24, 33, 5)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"num_classes": None}, "FCN.num_classes must be at least 0"),
        ({"num_classes": 0}, "FCN.num_classes must be at least 1, got 0"),
        ({"stages": ("pool9",)}, "FCN.stages must be of conv1, .*, features, .* got 'pool9'"),
        ({"stages": ("features",)}, r"FCN.strides .*'features' is \[1, 256\] .* got stride 8"),
        ({"strides": (2,)}, r"FCN.strides .*: 'pool3' is \[1, 4, 8, 8\] for images .* got stride"),
        ({"strides": (4, 8)}, r"FCN.strides must have one stride for each .* got \(4, 8\)"),
        (
            {"stages": ("pool2", "pool3"), "strides": (3, 8)},
            r"each a multiple of the one before, got \(3, 8\)",
        ),
        ({"hidden": ()}, r"len\(FCN.hidden\) must be at least 1, got 0"),
        ({"padding": "valid"}, "FCN.padding must be one of same, published, got 'valid'"),
        ({"dropout": 1.0}, r"FCN.dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, message):
    made = {"stages": ("pool3",), "strides": (8,), "num_classes": 3, "hidden": (8,)} | fields
    with pytest.raises(ValueError, match=message):
        outputs(FCN(SMALL, **made), 1, 32, 64, 3)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"num_classes": 0}, "DilatedFCN.num_classes must be at least 1, got 0"),
        ({"stage": "layer4"}, "DilatedFCN's stages must be of conv1, .* got 'layer4'"),
        (
            {"auxiliary": True, "auxiliary_stage": "layer3"},
            "DilatedFCN's stages must be of conv1, .* got 'layer3'",
        ),
    ],
)
def test_fields_of_the_dilated_form_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        outputs(DilatedFCN(SMALL, **{"stage": "pool3", "num_classes": 3} | fields), 1, 16, 16, 3)
