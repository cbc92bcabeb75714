import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nets.layers import filters
from nets.layers.conv import Conv
from tests.support.checks import jit

STEP = np.array([[0, 0, 0, 9, 9, 9]] * 4, np.float32)  # dark left, bright right
POINT = np.zeros((5, 5), np.float32)
POINT[2, 2] = 1


def filtered(image, kernel, padding="VALID"):
    apply = functools.partial(filters.apply_filter, kernel=kernel, padding=padding)
    return np.asarray(jit(apply)(image[None, ..., None]))[0, ..., 0]


@pytest.mark.parametrize(
    "kernel, total",
    [
        (filters.box(3), 1),
        (filters.box(4), 1),
        (filters.gaussian(5, 1.2), 1),
        (filters.gaussian(4, 0.7), 1),
        (filters.sharpen(), 1),
        (filters.edge(), 0),
    ],
)
def test_sums_and_symmetry(kernel, total):
    np.testing.assert_allclose(kernel.sum(), total, atol=1e-12)
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-15)
    np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-15)


def test_box():
    np.testing.assert_allclose(filters.box(2), [[0.25, 0.25], [0.25, 0.25]])
    np.testing.assert_allclose(filtered(STEP, filters.box(3)), [[0, 3, 6, 9]] * 2, atol=1e-6)


def test_edge_is_the_second_difference():
    np.testing.assert_allclose(filtered(STEP, filters.edge()), [[0, 9, -9, 0]] * 2)
    y, x = np.mgrid[:5, :6].astype(np.float32)
    np.testing.assert_allclose(filtered(x**2 + 3 * y**2, filters.edge()), np.full((3, 4), 8.0))
    np.testing.assert_allclose(filtered(POINT, filters.edge()), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def test_sharpen_overshoots_on_either_side_of_a_step():
    np.testing.assert_allclose(filtered(STEP, filters.sharpen()), [[0, -9, 18, 9]] * 2)


def test_sobel_is_the_slope_by_8():
    across, down = filters.sobel()
    y, x = np.mgrid[:4, :5].astype(np.float32)
    plane = 2 * x - 5 * y
    np.testing.assert_allclose(filtered(plane, across), np.full((2, 3), 16.0))
    np.testing.assert_allclose(filtered(plane, down), np.full((2, 3), -40.0))
    np.testing.assert_allclose(filtered(STEP, across), [[0, 36, 36, 0]] * 2)
    np.testing.assert_allclose(filtered(STEP, down), np.zeros((2, 4)))


def test_gaussian_falls_as_a_bell_and_separates():
    kernel = filters.gaussian(7, 1.5)
    np.testing.assert_allclose(kernel[3, 5] / kernel[3, 3], np.exp(-(2**2) / (2 * 1.5**2)))
    np.testing.assert_allclose(kernel[1, 6] / kernel[3, 3], np.exp(-(2**2 + 3**2) / (2 * 1.5**2)))
    assert np.linalg.matrix_rank(kernel) == 1
    even = filters.gaussian(2, 0.4)
    np.testing.assert_allclose(even, np.full((2, 2), 0.25))


def test_gaussian_equals_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    want = ndimage.gaussian_filter(image, 1.3, mode="constant", radius=3)
    ours = filtered(image, filters.gaussian(7, 1.3), "SAME")
    np.testing.assert_allclose(ours, want, atol=1e-5)


def test_each_channel_by_itself():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 5, 6, 3)).astype(np.float32), rng.normal(size=(2, 3))
    got = jit(lambda x: filters.apply_filter(x, kernel, "VALID"))(x)
    assert got.shape == (2, 4, 4, 3)
    for b, row, column, c in np.ndindex(got.shape):
        want = (x[b, row : row + 2, column : column + 3, c] * kernel).sum()
        np.testing.assert_allclose(got[b, row, column, c], want, rtol=1e-4, atol=1e-5)
    half = x.astype(jnp.bfloat16)
    same = jax.eval_shape(lambda: filters.apply_filter(half, kernel))
    assert same.shape == x.shape and same.dtype == jnp.bfloat16


def test_matched_filter_finds_its_pulse():
    rng = np.random.default_rng(0)
    pulse = np.array([1.0, 3.0, -2.0, 4.0])
    kernel = filters.matched_filter(pulse)
    np.testing.assert_allclose(kernel, np.array([4, -2, 3, 1]) / 30**0.5)
    signal = rng.normal(size=60) * 0.3
    signal[37:41] += pulse
    convolved = np.convolve(signal, kernel, "valid")
    assert convolved.argmax() == 37
    np.testing.assert_allclose(convolved, np.correlate(signal, pulse, "valid") / 30**0.5)

    x = signal.astype(np.float32)[None, :, None]
    conv = Conv(1, (4,), padding="VALID", use_bias=False, flip=True)
    variables = {"params": {"kernel": kernel.astype(np.float32)[:, None, None]}}
    for got in jit(
        lambda x: (conv.apply(variables, x), filters.apply_filter(x, kernel[::-1], "VALID"))
    )(x):
        np.testing.assert_allclose(got[0, :, 0], convolved, atol=1e-4)


def test_matched_filter_finds_a_pattern_in_an_image():
    rng = np.random.default_rng(1)
    pattern = rng.normal(size=(4, 3))
    kernel = filters.matched_filter(pattern)
    np.testing.assert_allclose(kernel[0], pattern[-1, ::-1] / np.sqrt((pattern**2).sum()))
    image = rng.normal(size=(20, 30)) * 0.1
    image[11:15, 6:9] += pattern
    output = filtered(image.astype(np.float32), kernel[::-1, ::-1])
    assert np.unravel_index(output.argmax(), output.shape) == (11, 6)
    for row, column in ((0, 0), (11, 6), (16, 27)):
        want = np.sum(image[row : row + 4, column : column + 3] * pattern)
        np.testing.assert_allclose(
            output[row, column], want / np.linalg.norm(pattern), rtol=1e-4, atol=1e-5
        )


def test_the_six_kernels_by_name():
    found = filters.kernels()
    x, y = (a.astype(np.float32) for a in np.mgrid[:5, :6])
    want = {"diagonal_edges": 4, "edges_4": 0, "edges_8": 0, "sharpen": 14, "box_blur": 14}
    for name, value in want.items():  # at row 3, column 4 of the image x y + 2 (1 + x - y)
        image = x * y + 2 * (1 + x - y)
        got = filtered(image, found[name])[2, 3]
        np.testing.assert_allclose(got, value - (name in ("sharpen", "box_blur")) * 2, atol=1e-5)
    spread = filtered(np.pad(POINT, 1), found["gaussian_blur"])[1:4, 1:4] * 16
    np.testing.assert_allclose(spread, 0 * spread + [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    ring = filtered(POINT, found["edges_8"])
    np.testing.assert_allclose(ring, [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]])
    cross = filtered(POINT, found["diagonal_edges"])
    np.testing.assert_allclose(cross, [[1, 0, -1], [0, 0, 0], [-1, 0, 1]])
    assert len(found) == 6


def test_a_gabor_pair_answers_to_its_wave_wherever_that_begins():
    y, x = np.mgrid[:30, :30]

    def energy(wavelength, angle, phase):
        run = x * np.cos(angle) + y * np.sin(angle)
        wave = np.cos(2 * np.pi * run / wavelength + phase).astype(np.float32)
        pair = filters.gabor(11, 5.0, 0.6)
        return np.hypot(*(filtered(wave, kernel)[10, 10] for kernel in pair))

    own = [energy(5.0, 0.6, phase) for phase in np.linspace(0, np.pi, 5)]
    np.testing.assert_allclose(own, own[0], rtol=0.05)
    for wavelength, angle in ((5.0, 0.6 + np.pi / 2), (5.0, -0.6), (12.0, 0.6), (2.5, 0.6)):
        assert energy(wavelength, angle, 0) < 0.3 * own[0]
    down = filters.gabor(9, 4.0, np.pi / 2)
    np.testing.assert_allclose(down, filters.gabor(9, 4.0, 0.0).swapaxes(1, 2), atol=1e-12)
    assert down[1, 5, 4] > 0 > down[1, 3, 4]
    even, odd = filters.gabor(10, 4.0, 1.0, 2.0)
    np.testing.assert_allclose([even.sum(), odd.sum()], 0, atol=1e-12)
    np.testing.assert_allclose([(even**2).sum(), (odd**2).sum(), (even * odd).sum()], [1, 1, 0],
                               atol=1e-12)  # fmt: skip


def test_no_filter_of_its_energy_peaks_higher():
    rng = np.random.default_rng(0)
    pulse = rng.normal(size=6)
    peak = np.convolve(pulse, filters.matched_filter(pulse)).max()
    np.testing.assert_allclose(peak, np.linalg.norm(pulse))
    for other in rng.normal(size=(50, 6)):
        assert np.convolve(pulse, other / np.linalg.norm(other)).max() < peak


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: filters.box(0), "size must be at least 1, got 0"),
        (lambda: filters.gaussian(-1, 1.0), "size must be at least 1, got -1"),
        (lambda: filters.gaussian(3, 0.0), "sigma must be positive, got 0.0"),
        (lambda: filters.gaussian(3, float("nan")), "sigma must be positive, got nan"),
        (
            lambda: filters.matched_filter([0.0, 0.0]),
            r"pulse must be .* got shape \[2\] with energy 0.0",
        ),
        (lambda: filters.matched_filter(1.0), r"pulse must be an array .* got shape \[\]"),
        (lambda: filters.gabor(1, 4.0, 0.0), "size must be at least 2, got 1"),
        (lambda: filters.gabor(5, 0.0, 0.0), "wavelength must be positive, got 0.0"),
        (lambda: filters.gabor(5, 4.0, 0.0, -1.0), "sigma must be positive, got -1.0"),
        (
            lambda: filters.apply_filter(jnp.zeros((1, 8, 1)), filters.edge()),
            r"4 axes for a kernel \[3, 3\], got shape \[1, 8, 1\]",
        ),
        (
            lambda: filters.apply_filter(jnp.zeros((1, 2, 2, 1)), filters.edge(), "VALID"),
            "into 2 positions .* got a window of 3",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(call)
