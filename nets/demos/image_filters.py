"""Pictures of filters on images: six kernels, a matched filter, deconvolution.

    python -m nets.demos.image_filters --folder=runs/image_filters

Needs the extra hog, for scikit-image and its photographs; trains nothing and takes seconds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits

from nets.errors import UserError, missing
from nets.layers import filters
from nets.layers.conv_transpose import convolve_transpose
from nets.report.figures import Figure, Panels
from nets.report.line_plot import LinePlot
from nets.report.marked_image import MarkedImage


def scikit_image() -> Any:
    """The package scikit-image.

    Raises:
        UserError: it is not installed.
    """
    try:
        import skimage
    except ImportError as error:
        raise missing("a picture of filters on a photograph", "scikit-image", "hog") from error
    return skimage


def photographs() -> tuple[np.ndarray, np.ndarray]:
    """Two heads from photographs that scikit-image ships, [H, W], black 0 and white 1."""
    skimage = scikit_image()
    camera = skimage.data.camera()[50:232, 150:332] / 255
    return camera, skimage.color.rgb2gray(skimage.data.astronaut()[:256, 100:356])


def apply(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The part of the correlation of an image [H, W] that needs no padding."""
    x = jnp.asarray(image, jnp.float32)[None, ..., None]
    return np.asarray(filters.apply_filter(x, kernel, "VALID"))[0, ..., 0]


def kernels(image: np.ndarray) -> Panels:
    """An image [H, W] and what each of `filters.kernels` makes of it."""
    panels = [MarkedImage("Photograph", image[1:-1, 1:-1], (0, 1))]
    for name, kernel in filters.kernels().items():
        signed = abs(kernel.sum()) < 1e-9
        output = apply(image, kernel)
        span = np.quantile(np.abs(output), 0.995)
        limits = (-span, span) if signed else (0, 1)
        title = name.capitalize().replace("_4", ", 4 neighbours").replace("_8", ", 8 neighbours")
        title = title.replace("_", " ")
        panels.append(MarkedImage(title, output, limits, note=written(kernel)))
    across, down = (apply(image, kernel) for kernel in filters.sobel())
    slope = MarkedImage("Sobel: steepness", np.hypot(across, down), note=written(filters.sobel()[0])
                        + "\n(and transposed)")  # fmt: skip
    return Panels("Six kernels on a photograph (edges: zero is grey)", (*panels, slope), columns=4)


def written(kernel: np.ndarray) -> str:
    """A kernel as text; a mean as whole numbers, and what they are divided by."""
    whole = np.rint(kernel / np.abs(kernel[kernel != 0]).min()) + 0.0  # not -0
    lines = ["".join(f"{number:4.0f}" for number in row) for row in whole]
    factor = round(float(whole.sum() / kernel.sum())) if kernel.sum() > 0 else 1
    return "\n".join(lines) + (f"\ndivided by {factor}" if factor > 1 else "")


def hidden(side: int = 96, noise: float = 1 / 7, seed: int = 0) -> tuple[np.ndarray, ...]:
    """A handwritten digit, 16x16, of energy 1, hidden in white noise.

    Args:
        side: of the image in pixels.
        noise: standard deviation of the noise.
        seed: of the noise and the place.

    Returns:
        pattern [16, 16]; image [side, side]; row and column of the pattern's first pixel, [2].
    """
    pattern = np.kron(load_digits().images[3], np.ones((2, 2)))
    pattern /= np.linalg.norm(pattern)
    rng = np.random.default_rng(seed)
    image = rng.normal(0, noise, (side, side))
    row, column = rng.integers(0, side - len(pattern) + 1, 2)
    image[row : row + 16, column : column + 16] += pattern
    return pattern, image, np.array([row, column])


def detect(image: np.ndarray, pattern: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matched filter's output at each place of the pattern, and where it is largest, [2]."""
    output = apply(image, np.flip(filters.matched_filter(pattern)))  # `apply` correlates
    return output, np.array(np.unravel_index(output.argmax(), output.shape))


def matched_filter(noise: float = 1 / 7, seed: int = 0) -> Panels:
    """The `hidden` pattern, the image, the filter's output and its row with the peak."""
    pattern, image, place = hidden(noise=noise, seed=seed)
    output, peak = detect(image, pattern)
    output = output / noise
    framed = np.zeros_like(image)
    framed[tuple(slice(p, p + n) for p, n in zip(place, pattern.shape, strict=True))] = pattern
    marks = ("the pattern's corner", *map(float, place)), ("peak", *map(float, peak))
    panels = (
        MarkedImage("The pattern, where it is", framed),
        MarkedImage("The image, with noise", image),
        MarkedImage("Output of the matched filter", output, marks=marks),
        LinePlot(
            f"Row {peak[0]} of the output", np.arange(output.shape[1]),
            {"output": output[peak[0]]}, "column", "standard deviations of the noise",
            mark=("where the pattern begins", float(place[1])),
        ),
    )  # fmt: skip
    return Panels("Where is the digit?", panels, columns=2)


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of an image in 0 to 1."""
    return float(-10 * np.log10(np.mean(np.square(np.clip(image, 0, 1) - truth))))


def blurred(image: np.ndarray, kernel: np.ndarray, noise: float) -> np.ndarray:
    """An image [H, W] filtered by a kernel [n, n], with white noise; [H - n + 1, W - n + 1]."""
    output = apply(image, kernel)
    return output + np.random.default_rng(0).normal(0, noise, output.shape)


def transposed(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The transposed convolution of an image, of its size."""
    x, k = jnp.asarray(image, jnp.float32)[None, ..., None], jnp.asarray(kernel, jnp.float32)
    return np.asarray(convolve_transpose(x, k[..., None, None]))[0, ..., 0]


def fitted(image: np.ndarray, target: np.ndarray, size: int) -> np.ndarray:
    """The kernel whose transposed convolution takes an image closest to a target, both [H, W]."""
    margin = size // 2
    patches = sliding_window_view(image, (size, size))[::3, ::3].reshape(-1, size**2)
    values = target[margin : len(target) - margin : 3, margin : target.shape[1] - margin : 3]
    weights = np.linalg.lstsq(patches, values.ravel(), rcond=None)[0]
    return np.flip(weights.reshape(size, size))  # a transposed convolution mirrors its kernel


def deconvolution(
    image: np.ndarray, other: np.ndarray, sigma: float = 1.5, noise: float = 0.01
) -> Panels:
    """An image, blurred, and restored by four kinds of "deconvolution".

    Args:
        image: [H, W] in 0 to 1.
        other: a second image, on which the kernel of a transposed convolution is fitted.
        sigma: of the Gaussian blur, in pixels.
        noise: standard deviation of the noise that is added.
    """
    kernel, margin = filters.gaussian(11, sigma), 5
    degraded, degraded_other = (blurred(a, kernel, noise) for a in (image, other))
    truth, truth_other = (a[margin:-margin, margin:-margin] for a in (image, other))
    restoration = scikit_image().restoration
    learnt = fitted(degraded_other, truth_other, 15)
    results = {
        "Blurred, with noise": (degraded, ""),
        "Wiener": (restoration.wiener(degraded, kernel, balance=0.003), ""),
        "Richardson-Lucy": (
            restoration.richardson_lucy(np.clip(degraded, 0, 1), kernel, num_iter=50),
            "",
        ),
        "Transposed convolution": (transposed(degraded, kernel), "by the blur's kernel: "),
        "Transposed, fitted": (transposed(degraded, learnt), "on another photograph: "),
    }
    inner = (slice(2 * margin, -2 * margin),) * 2  # the methods differ in how they pad
    panels = [MarkedImage("Photograph", truth[inner], (0, 1))]
    for name, (result, note) in results.items():
        note += f"{psnr(result[inner], truth[inner]):.1f} dB"
        panels.append(MarkedImage(name, result[inner], (0, 1), note=note))
    title = "Deconvolution, and the transposed convolution that shares its name"
    return Panels(title, tuple(panels), columns=3)


def figures() -> dict[str, Figure]:
    """The three pictures, by the names of their files."""
    image, other = photographs()
    return {
        "kernels": kernels(image[10:-10, 10:-10]),
        "matched_filter_2d": matched_filter(),
        "deconvolution": deconvolution(image, other),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/image_filters"))
    folder = parser.parse_args(arguments).folder
    try:
        drawn = figures()
    except UserError as error:
        parser.error(str(error))
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        print(figure.write(folder, name))


if __name__ == "__main__":
    main()
