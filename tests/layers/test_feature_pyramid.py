"""Feature pyramids by hand."""

import jax
import numpy as np

from nets.layers.feature_pyramid import FeaturePyramid, enlarged


def test_a_pyramid_is_the_sum_of_each_map_and_the_enlarged_one_above():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(1, 4, 6, 2)), rng.normal(size=(1, 2, 3, 5))]
    maps = [a.astype(np.float32) for a in maps]
    model = FeaturePyramid(3)
    params = model.init(jax.random.key(0), maps)["params"]
    middle = np.zeros((3, 3, 3, 3), np.float32)
    middle[1, 1] = np.eye(3)  # a 3x3 convolution that changes nothing
    for i in (0, 1):
        params[f"layer_{i}"] = {"kernel": middle, "bias": np.zeros(3, np.float32)}
    low, high = model.apply({"params": params}, maps)
    inner = [
        a @ params[f"inner_{i}"]["kernel"][0, 0] + params[f"inner_{i}"]["bias"].reshape(1, 1, 1, 3)
        for i, a in enumerate(maps)
    ]
    np.testing.assert_allclose(high, inner[1], atol=1e-5)
    repeated = np.repeat(np.repeat(inner[1], 2, 1), 2, 2)
    np.testing.assert_allclose(low, inner[0] + repeated, atol=1e-5)


def test_enlarging_takes_the_nearest_as_torch_does():
    x = np.arange(6.0).reshape(1, 2, 3, 1)
    y = enlarged(x, (5, 4))[0, ..., 0]
    assert y[:, 0].tolist() == [0, 0, 0, 3, 3] and y[0].tolist() == [0, 0, 1, 2]
