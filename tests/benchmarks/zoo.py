"""Every image network: parameters, multiply-adds, and images a second on this machine.

    python tests/benchmarks/zoo.py [--nets=vgg16,...] [--batch=8]

Inference in float32, the median of a few repetitions. Run it on an idle machine: all take about
six minutes on one core.
"""

import argparse
import functools
import os
import sys

from nets.cli import process

process.tune()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from timing import interleaved  # noqa: E402

from nets.alexnet import AlexNet, AlexNetOriginal  # noqa: E402
from nets.convnet import ConvNet  # noqa: E402
from nets.densenet import DenseNet121, DenseNetBC100  # noqa: E402
from nets.fractalnet import FractalNet  # noqa: E402
from nets.googlenet import GoogLeNet, GoogLeNet2014  # noqa: E402
from nets.inception import InceptionV3  # noqa: E402
from nets.inspect.cost import multiply_adds  # noqa: E402
from nets.lenet import LeNet5, LeNet5Original, ZipNet  # noqa: E402
from nets.mobilenet import MobileNetV1, MobileNetV2  # noqa: E402
from nets.mobilenet_v3 import MobileNetV3Large, MobileNetV3Small  # noqa: E402
from nets.nasnet import NASNetLarge, NASNetMobile  # noqa: E402
from nets.nin import NiN  # noqa: E402
from nets.resnet import (  # noqa: E402
    ResNet18,
    ResNet50,
    ResNet152,
    ResNeXt50_32x4d,
    SEResNet50,
    WideResNet50_2,
)
from nets.resnet_cifar import CifarResNet, QuickResNet, WideResNet  # noqa: E402
from nets.vgg import VGG  # noqa: E402
from nets.zfnet import ZFNet  # noqa: E402

NETS = {  # makes the net from its number of classes; pixels, channels, classes
    "zipnet": (ZipNet, 16, 1, 10),
    "lenet5_1998": (LeNet5Original, 32, 1, 10),
    "lenet5": (LeNet5, 28, 1, 10),
    "convnet": (ConvNet, 28, 1, 10),
    "nin": (NiN, 32, 3, 10),
    "cifar_resnet20": (CifarResNet, 32, 3, 10),
    "cifar_resnet110": (functools.partial(CifarResNet, 110), 32, 3, 10),
    "wide_resnet_28_10": (WideResNet, 32, 3, 10),
    "quick_resnet": (QuickResNet, 32, 3, 10),
    "densenet_bc_100_12": (DenseNetBC100, 32, 3, 10),
    "fractalnet20": (FractalNet, 32, 3, 10),
    "alexnet_original": (AlexNetOriginal, 227, 3, 1000),
    "alexnet": (AlexNet, 224, 3, 1000),
    "zfnet": (ZFNet, 224, 3, 1000),
    "vgg16": (functools.partial(VGG, 16), 224, 3, 1000),
    "vgg19": (functools.partial(VGG, 19), 224, 3, 1000),
    "googlenet_2014": (GoogLeNet2014, 224, 3, 1000),
    "googlenet": (GoogLeNet, 224, 3, 1000),
    "inception_v3": (InceptionV3, 299, 3, 1000),
    "resnet18": (ResNet18, 224, 3, 1000),
    "resnet50": (ResNet50, 224, 3, 1000),
    "resnet152": (ResNet152, 224, 3, 1000),
    "resnext50": (ResNeXt50_32x4d, 224, 3, 1000),
    "se_resnet50": (SEResNet50, 224, 3, 1000),
    "wide_resnet50": (WideResNet50_2, 224, 3, 1000),
    "densenet121": (DenseNet121, 224, 3, 1000),
    "mobilenet_v1": (MobileNetV1, 224, 3, 1000),
    "mobilenet_v2": (MobileNetV2, 224, 3, 1000),
    "mobilenet_v3_large": (MobileNetV3Large, 224, 3, 1000),
    "mobilenet_v3_small": (MobileNetV3Small, 224, 3, 1000),
    "nasnet_mobile": (NASNetMobile, 224, 3, 1000),
    "nasnet_large": (NASNetLarge, 331, 3, 1000),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} core(s), jax {jax.__version__}, batch {options.batch}")
    for name in options.nets.split(","):
        make, pixels, channels, classes = NETS[name]
        model = make(num_classes=classes)
        x = jnp.ones((options.batch, pixels, pixels, channels))
        init = functools.partial(model.init, train=False)
        shapes = jax.eval_shape(init, jax.random.key(0), x[:1])
        variables = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01, leaf.dtype), shapes)
        forward = functools.partial(model.apply, train=False)
        count = multiply_adds(jax.make_jaxpr(forward)(shapes, x[:1]))
        jitted = jax.jit(forward)
        run = {"forward": lambda f=jitted, v=variables, x=x: f(v, x).block_until_ready()}
        rate = options.batch / interleaved(run, 5)["forward"]
        parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
        print(
            f"{name}: {parameters:,} parameters, {count:,} multiply-adds, {rate:,.1f} images/s",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
