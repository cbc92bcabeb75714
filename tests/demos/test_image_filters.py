"""Kernels, the matched filter and deconvolution on images, against SciPy and by their promise."""

import sys

import numpy as np
import pytest

from nets.demos import image_filters
from nets.errors import UserError
from nets.layers import filters

IMAGES = [np.random.default_rng(seed).random((40, 50)) for seed in (0, 1)]


def test_each_kernel_is_applied_to_the_photograph():
    correlate = pytest.importorskip("scipy.ndimage").correlate
    photograph, *six, steepness = image_filters.kernels(IMAGES[0]).panels
    np.testing.assert_array_equal(photograph.image, IMAGES[0][1:-1, 1:-1])
    for panel, kernel in zip(six, filters.kernels().values(), strict=True):
        want = correlate(IMAGES[0], kernel)[1:-1, 1:-1]
        np.testing.assert_allclose(panel.image, want, atol=1e-5)
    assert [panel.limits == (0, 1) for panel in six] == [False, False, False, True, True, True]
    slope = np.hypot(*(correlate(IMAGES[0], kernel)[1:-1, 1:-1] for kernel in filters.sobel()))
    np.testing.assert_allclose(steepness.image, slope, atol=1e-5)


@pytest.mark.parametrize(
    "kernel, text",
    [
        (filters.edge(), "   0   1   0\n   1  -4   1\n   0   1   0"),
        (filters.box(2), "   1   1\n   1   1\ndivided by 4"),
        (-filters.edge()[:2], "   0  -1   0\n  -1   4  -1"),
    ],
)
def test_kernels_are_written_in_whole_numbers(kernel, text):
    assert image_filters.written(kernel) == text


def test_the_digit_is_found_in_noise_that_hides_it():
    near = 0
    for seed in range(20):
        pattern, image, place = image_filters.hidden(side=48, seed=seed)
        row, column = place
        noise = image.copy()
        noise[row : row + 16, column : column + 16] -= pattern
        assert noise.std() == pytest.approx(1 / 7, rel=0.1)
        assert image.max() > 2 * pattern.max()  # the brightest pixel is one of noise
        near += np.abs(image_filters.detect(image, pattern)[1] - place).max() <= 1
    assert near >= 18  # by chance 9 of 1,089 places are


def test_the_peak_and_the_place_are_marked():
    pattern, image, (row, column) = image_filters.hidden(noise=1 / 10, seed=3)
    clean, noisy, output, profile = image_filters.matched_filter(noise=1 / 10, seed=3).panels
    assert {mark[1:] for mark in output.marks} == {(row, column)}
    np.testing.assert_allclose(clean.image[row : row + 16, column : column + 16], pattern)
    np.testing.assert_array_equal(noisy.image, image)
    want = [np.sum(image[row : row + 16, c : c + 16] * pattern) * 10 for c in range(81)]
    np.testing.assert_allclose(profile.curves["output"], want, rtol=1e-3, atol=1e-4)
    assert profile.mark[1] == column == np.argmax(want)
    assert want[column] == pytest.approx(10, abs=3)  # the root of the energy over the noise


def test_the_transposed_convolution_is_the_adjoint_of_the_blur_and_no_inverse():
    kernel = np.random.default_rng(2).random((5, 5))
    x, y = IMAGES[0], IMAGES[1][2:-2, 2:-2]
    padded = np.pad(y, 2)  # whose transposed convolution is of x's size
    dot = np.sum(image_filters.apply(x, kernel) * y)
    np.testing.assert_allclose(np.sum(x * image_filters.transposed(padded, kernel)), dot, rtol=1e-5)


def test_a_fitted_kernel_undoes_a_filter_that_has_an_inverse():
    shift = np.zeros((5, 5))
    shift[1, 3] = 2  # twice the pixel above to the right
    moved = image_filters.apply(IMAGES[0], shift)
    back = image_filters.fitted(moved, IMAGES[0][2:-2, 2:-2], 5)
    restored = image_filters.transposed(moved, back)
    np.testing.assert_allclose(restored[4:-4, 4:-4], IMAGES[0][6:-6, 6:-6], atol=1e-4)


def test_deconvolution_restores_what_the_transposed_convolution_blurs_again():
    pytest.importorskip("skimage")
    panels = image_filters.deconvolution(*image_filters.photographs()).panels
    ratio = {panel.title: float(panel.note.split()[-2]) for panel in panels[1:]}
    seen = ratio["Blurred, with noise"]
    assert ratio["Transposed convolution"] < seen - 1
    for name in ("Wiener", "Richardson-Lucy", "Transposed, fitted"):
        assert ratio[name] > seen + 2, name


def test_psnr_by_hand():
    assert image_filters.psnr(np.array([0.1, 1.4]), np.array([0.0, 1.0])) == pytest.approx(
        -10 * np.log10(0.005)
    )


def test_the_command_writes_three_pictures(tmp_path, capsys):
    pytest.importorskip("skimage")
    image_filters.main([f"--folder={tmp_path / 'new'}"])
    names = ["kernels.png", "matched_filter_2d.png", "deconvolution.png"]
    assert capsys.readouterr().out.split() == [str(tmp_path / "new" / name) for name in names]
    assert all((tmp_path / "new" / name).stat().st_size > 10_000 for name in names)


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UserError, match=r"needs scikit-image: run .*\[hog\]"):
        image_filters.photographs()
    with pytest.raises(SystemExit, match="2"):
        image_filters.main([])
    assert "needs scikit-image" in capsys.readouterr().err
