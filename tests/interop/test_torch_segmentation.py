"""Segmentation networks beside torchvision's own, with the same weights."""

import functools

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
from nets.fcn import FCNResNet50  # noqa: E402
from nets.interop.torch import vision_from_torch, vision_to_torch  # noqa: E402
from tests.support.torch_names import assert_close  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
CLASSES = 4


@pytest.fixture(scope="module")
def twins():
    from tests.support import torchvision_ops

    torchvision_ops.detection()
    from torchvision.models.segmentation import fcn_resnet50

    torch.manual_seed(0)
    twin = fcn_resnet50(
        weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True
    ).eval()
    with torch.no_grad():
        for module in twin.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.uniform_(0.6, 1.2)
                for tensor in (module.bias, module.running_mean):
                    tensor.normal_(0, 0.1)
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    model = FCNResNet50(num_classes=CLASSES, auxiliary=True, dropout=0.0)
    x = np.random.default_rng(0).normal(size=(2, 45, 52, 3)).astype(np.float32)
    shapes = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), x)
    return twin, model, vision_from_torch(twin.state_dict(), model, shapes), x


def test_the_weights_come_back(twins):
    twin, model, variables, _ = twins
    back = vision_to_torch(variables, model)
    expected = {k: a for k, a in twin.state_dict().items() if "num_batches" not in k}
    assert back.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(back[name], tensor.numpy())


@pytest.mark.parametrize("train", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_outputs_are_torchvisions(twins, train):
    """Those of the auxiliary head while training, when only it runs here."""
    twin, model, variables, x = twins
    with torch.no_grad():
        expected = twin.train(train)(torch.tensor(x).permute(0, 3, 1, 2))
    run = functools.partial(model.apply, train=train, stages=train, mutable=["batch_stats"])
    found, _ = jax.jit(run)(variables, x)
    logits, stages = found if train else (found, {})
    assert expected["out"].std() > 0.1
    assert_close(logits, expected["out"], 1e-3)
    if train:
        assert_close(stages["aux1"], expected["aux"], 1e-3)
