"""Every image network: parameters, multiply-adds, and images a second on this machine.

    python tests/benchmarks/zoo.py [--nets=vgg16,...] [--batch=8]

Inference in float32 of random weights, the median of a few repetitions. Run it on an idle machine.
"""

import argparse
import functools
import os
import sys

from nets.train import allocator

allocator.keep_pages()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from timing import interleaved  # noqa: E402

from nets.alexnet import AlexNet, AlexNetOriginal  # noqa: E402
from nets.densenet import DenseNet121, DenseNetBC100  # noqa: E402
from nets.fractalnet import FractalNet  # noqa: E402
from nets.googlenet import GoogLeNet, GoogLeNet2014  # noqa: E402
from nets.inception import InceptionV3  # noqa: E402
from nets.mobilenet import MobileNetV1, MobileNetV2  # noqa: E402
from nets.mobilenet_v3 import MobileNetV3Large, MobileNetV3Small  # noqa: E402
from nets.nasnet import NASNetLarge, NASNetMobile  # noqa: E402
from nets.nin import NiN  # noqa: E402
from nets.resnet import ResNet18, ResNet50, ResNeXt50_32x4d, SEResNet50  # noqa: E402
from nets.resnet_cifar import CifarResNet, WideResNet  # noqa: E402
from nets.train.count import multiply_adds  # noqa: E402
from nets.vgg import VGG  # noqa: E402
from nets.zfnet import ZFNet  # noqa: E402

NETS = {  # makes the net from its number of classes; pixels
    "alexnet_original": (AlexNetOriginal, 227),
    "alexnet": (AlexNet, 224),
    "zfnet": (ZFNet, 224),
    "nin": (NiN, 32),
    "vgg16": (functools.partial(VGG, 16), 224),
    "googlenet_2014": (GoogLeNet2014, 224),
    "googlenet": (GoogLeNet, 224),
    "inception_v3": (InceptionV3, 299),
    "resnet18": (ResNet18, 224),
    "resnet50": (ResNet50, 224),
    "resnext50": (ResNeXt50_32x4d, 224),
    "se_resnet50": (SEResNet50, 224),
    "cifar_resnet20": (CifarResNet, 32),
    "cifar_resnet110": (functools.partial(CifarResNet, 110), 32),
    "wide_resnet_28_10": (WideResNet, 32),
    "densenet121": (DenseNet121, 224),
    "densenet_bc_100_12": (DenseNetBC100, 32),
    "fractalnet20": (FractalNet, 32),
    "mobilenet_v1": (MobileNetV1, 224),
    "mobilenet_v2": (MobileNetV2, 224),
    "mobilenet_v3_large": (MobileNetV3Large, 224),
    "mobilenet_v3_small": (MobileNetV3Small, 224),
    "nasnet_mobile": (NASNetMobile, 224),
    "nasnet_large": (NASNetLarge, 331),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} core(s), jax {jax.__version__}, batch {options.batch}")
    for name in options.nets.split(","):
        make, pixels = NETS[name]
        model = make(num_classes=10 if pixels == 32 else 1000)
        x = jnp.ones((options.batch, pixels, pixels, 3))
        init = functools.partial(model.init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), x[:1])
        variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01, leaf.dtype), shapes)
        forward = functools.partial(model.apply, train=False)
        count = multiply_adds(jax.make_jaxpr(forward)(shapes, x[:1]))
        jitted = jax.jit(forward)
        run = {"forward": lambda f=jitted, v=variables, x=x: f(v, x).block_until_ready()}
        rate = options.batch / interleaved(run, 5)["forward"]
        parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
        print(f"{name}: {parameters:,} parameters, {count:,} multiply-adds, {rate:.1f} images/s")


if __name__ == "__main__":
    sys.exit(main())
