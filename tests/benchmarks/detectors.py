"""Three detectors of one kind of scene: parameters, multiply-adds and time an image.

    python tests/benchmarks/detectors.py [--batch=8]

Those of yolo_mnist_scenes, faster_rcnn_mnist_scenes and sliding_window_mnist_scenes, on random
images of 128x128 pixels with random parameters: non-maximum suppression takes as long for any.
"""

import argparse
from pathlib import Path

from nets.cli import process

process.tune()

import jax  # noqa: E402
from timing import interleaved  # noqa: E402

from nets.cli import catalogue  # noqa: E402
from nets.inspect.cost import multiply_adds  # noqa: E402

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
NAMES = ("yolo_mnist_scenes", "faster_rcnn_mnist_scenes", "sliding_window_mnist_scenes")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=8)
    batch = parser.parse_args().batch
    x, runs = jax.random.normal(jax.random.key(1), (batch, 128, 128, 1)), {}
    for name in NAMES:
        model = catalogue.load(name, EXPERIMENTS).model.clone(num_classes=10)
        variables = model.init(jax.random.key(0), x, train=False)

        def detect(variables, x, model=model):
            return model.apply(variables, x, method="detect")

        parameters = sum(a.size for a in jax.tree.leaves(variables["params"]))
        millions = multiply_adds(jax.make_jaxpr(detect)(variables, x[:1])) / 1e6
        print(f"{name}: {parameters:,} parameters, {millions:.0f} M multiply-adds an image")
        compiled = jax.jit(detect)
        runs[name] = lambda f=compiled, v=variables: jax.block_until_ready(f(v, x))
    seconds = interleaved(runs, 9)
    for name, value in seconds.items():
        ratio = value / seconds[NAMES[0]]
        print(f"{name}: {1e3 * value / batch:.2f} ms an image, {ratio:.1f} of {NAMES[0]}")


if __name__ == "__main__":
    main()
