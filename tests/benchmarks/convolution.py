"""Convolutional networks and layers against torch (channels last) on the same cores.

    python tests/benchmarks/convolution.py [--nets=lenet5,...] [--layers=0,1,...] [--repetitions=N]

A training step (softmax, momentum) and inference of each net, and single layers forwards and with
both gradients. Every figure is the median of interleaved repetitions in one process, in float32;
"floor" is the time that the multiply-adds take at the speed of a large matmul in this run. Run it
on an idle machine; it needs torch.
"""

import argparse
import functools
import os
import sys
from pathlib import Path

from nets.cli import process

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402
from timing import interleaved, peak, show  # noqa: E402

from nets.inspect.cost import multiply_adds  # noqa: E402
from nets.layers.conv import Conv  # noqa: E402
from nets.layers.conv_transpose import ConvTranspose  # noqa: E402
from nets.lenet import LeNet5  # noqa: E402
from nets.mobilenet import MobileNetV2  # noqa: E402
from nets.resnet import ResNet18, ResNet50  # noqa: E402
from nets.resnet_cifar import CifarResNet  # noqa: E402
from nets.vgg import VGG  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from tests.support.torch_resnet import Basic, Bottleneck, Net  # noqa: E402
from tests.test_mobilenet_torch import v2  # noqa: E402
from tests.test_zoo_early_torch import D, vgg  # noqa: E402

nn = torch.nn


def lenet5():
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    features += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    head = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*features, *head)


def cifar_resnet20():
    stages = [[Basic(16, 16) for _ in range(3)]]
    for c in (16, 32):
        stages.append([Basic(c, 2 * c, 2, "A"), *(Basic(2 * c, 2 * c) for _ in range(2))])
    return Net("cifar", stages, 64, classes=10, width=16)


def resnet(block, *blocks):
    """Of 18 or 50 layers."""
    stages, c, f = [], 64, 64
    for i, n in enumerate(blocks):
        stage = []
        for j in range(n):
            stride = 2 if i and j == 0 else 1
            stage.append(block(c, f, stride) if block is Basic else block(c, f, stride, f))
            c = f if block is Basic else 4 * f
        stages.append(stage)
        f *= 2
    return Net("imagenet", stages, c, classes=1000, width=64)


NETS = {  # ours, torch's, image, batch
    "lenet5": (LeNet5(10, activation=jax.nn.relu, pooling="max"), lenet5, (28, 28, 1), 128),
    "cifar_resnet20": (CifarResNet(20, num_classes=10), cifar_resnet20, (32, 32, 3), 128),
    "resnet18": (
        ResNet18(num_classes=1000),
        functools.partial(resnet, Basic, 2, 2, 2, 2),
        (224, 224, 3),
        8,
    ),
    "resnet50": (
        ResNet50(num_classes=1000),
        functools.partial(resnet, Bottleneck, 3, 4, 6, 3),
        (224, 224, 3),
        8,
    ),
    "vgg16": (
        VGG(16, num_classes=1000),
        functools.partial(vgg, False, *D, hidden=4096, classes=1000),
        (224, 224, 3),
        4,
    ),
    "mobilenet_v2": (
        MobileNetV2(num_classes=1000),
        functools.partial(v2, 1.0, classes=1000),
        (224, 224, 3),
        8,
    ),
}

LAYERS = (  # batch, side, channels, window, features, stride, groups; transposed where stride < 0
    (128, 28, 1, 5, 6, 1, 1),
    (128, 14, 6, 5, 16, 1, 1),
    (64, 32, 16, 3, 16, 1, 1),
    (64, 8, 64, 3, 64, 1, 1),
    (8, 224, 3, 7, 64, 2, 1),
    (8, 56, 64, 3, 64, 1, 1),
    (8, 56, 64, 1, 256, 1, 1),
    (8, 14, 256, 3, 256, 1, 1),
    (8, 28, 128, 4, 64, -2, 1),
    (8, 28, 256, 3, 256, 1, 32),
    (8, 56, 128, 3, 128, 1, 128),
)


def jax_net(model, x, labels):
    """A training step and inference, as callables that wait."""
    optimizer = optax.sgd(0.01, 0.9)
    key = jax.random.key(0)
    variables = jax.jit(functools.partial(model.init, train=False))(key, x[:1])
    params, rest = variables["params"], {k: v for k, v in variables.items() if k != "params"}
    state = [params, rest, jax.jit(optimizer.init)(params)]

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, rest, opt_state, x, labels):
        def loss(params):
            logits, updated = model.apply(
                {"params": params, **rest}, x, train=True, mutable=list(rest), rngs={"dropout": key}
            )
            each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return each.mean(), updated

        (value, updated), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), updated, opt_state, value

    infer = jax.jit(functools.partial(model.apply, train=False))

    def train():
        *state[:], value = step(*state, x, labels)
        value.block_until_ready()

    return train, lambda: infer({"params": state[0], **state[1]}, x).block_until_ready()


def torch_net(net, x, labels):
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, 0.9)
    given = torch.tensor(np.moveaxis(x, -1, 1)).contiguous(memory_format=torch.channels_last)
    target = torch.tensor(labels)

    def train():
        net.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(given), target).backward()
        optimizer.step()

    @torch.no_grad()
    def infer():
        net.eval()
        net(given)

    return train, infer


def layer_runs(row):
    """Forwards and with both gradients, ours and torch's."""
    batch, side, channels, k, features, stride, groups = row
    if stride < 0:
        ours = ConvTranspose(features, (k, k), strides=-stride)
        theirs = nn.ConvTranspose2d(channels, features, k, -stride, padding=(k + stride) // 2)
    else:
        ours = Conv(features, (k, k), strides=stride, padding=k // 2, groups=groups)
        theirs = nn.Conv2d(channels, features, k, stride, k // 2, groups=groups)
    theirs = theirs.to(memory_format=torch.channels_last)
    x = np.random.default_rng(0).normal(size=(batch, side, side, channels)).astype(np.float32)
    given = torch.tensor(np.moveaxis(x, -1, 1)).contiguous(memory_format=torch.channels_last)
    x, wanting = jnp.array(x), given.clone().requires_grad_()
    params = ours.init(jax.random.key(0), x)
    forward = jax.jit(ours.apply)
    cotangent = forward(params, x)
    theirs_cotangent = theirs(given).detach()
    if cotangent.shape[1:3] != theirs_cotangent.shape[2:]:
        raise AssertionError(f"{cotangent.shape} is not torch's {theirs_cotangent.shape}")

    @jax.jit
    def both(params, x, cotangent):
        y, pullback = jax.vjp(ours.apply, params, x)
        return y, pullback(cotangent)

    @torch.no_grad()
    def torch_forward():
        theirs(given)

    def torch_both():
        theirs.zero_grad()
        wanting.grad = None
        theirs(wanting).backward(theirs_cotangent)

    return (
        {"ours": lambda: forward(params, x).block_until_ready(), "torch": torch_forward},
        {
            "ours": lambda: jax.block_until_ready(both(params, x, cotangent)),
            "torch": torch_both,
        },
    )


def count(model, image):
    """Multiply-adds of one image."""
    shape = jax.ShapeDtypeStruct((1, *image), jnp.float32)
    init = functools.partial(model.init, train=False)
    variables = jax.eval_shape(init, jax.random.key(0), shape)
    return multiply_adds(
        jax.make_jaxpr(functools.partial(model.apply, train=False))(variables, shape)
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--layers", default=",".join(map(str, range(len(LAYERS)))))
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    speed = peak()
    print(
        f"{cores} core(s), jax {jax.__version__}, torch {torch.__version__}, "
        f"peak {2e-9 * speed:.0f} GFLOP/s"
    )
    print("milliseconds; in brackets torch's time over ours (above 1: ours is faster)")
    for row in (LAYERS[int(i)] for i in filter(None, options.layers.split(","))):
        for what, runs in zip(("forward", "with gradients"), layer_runs(row), strict=True):
            show(f"{row} {what}", interleaved(runs, options.repetitions))
    rng = np.random.default_rng(0)
    for name in filter(None, options.nets.split(",")):
        model, theirs, image, batch = NETS[name]
        x = rng.normal(size=(batch, *image)).astype(np.float32)
        labels = rng.integers(0, 10, batch)
        ours, torchs = jax_net(model, jnp.array(x), labels), torch_net(theirs(), x, labels)
        for i, (what, passes) in enumerate((("train", 3), ("inference", 1))):
            found = interleaved({"ours": ours[i], "torch": torchs[i]}, options.repetitions)
            floor = 1e3 * passes * batch * count(model, image) / speed
            show(f"{name}, batch {batch}, {what}", found, f", floor {floor:.1f}")


if __name__ == "__main__":
    sys.exit(main())
