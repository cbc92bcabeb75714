"""Detection of a pulse in a noisy signal: a learnt kernel and the matched filter.

The model, the task and the data of the experiment `matched_filter`.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.data.synthetic import Generated
from nets.errors import UserError
from nets.layers.conv import Conv, convolve
from nets.layers.filters import apply_filter, matched_filter
from nets.report.figures import Figure, Panels, Text
from nets.report.line_plot import LinePlot
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Task, Trained


class LinearFilter(nn.Module):
    """A linear filter: the cross-correlation of a signal with one learnt kernel, without bias.

    Attributes:
        window: number of steps of the kernel.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    window: int = 32
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps signals x [B, T, C] to a score for each start position, [B, T - window + 1].

        The scores are float32 at least.
        """
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        y = Conv(1, (self.window,), padding="VALID", use_bias=False, **dtypes, name="filter")(x)
        return y[..., 0].astype(jnp.promote_types(self.dtype, jnp.float32))


@dataclasses.dataclass(frozen=True)
class DetectPulse(Task):
    """Trains `LinearFilter` by the cross-entropy of the position where the pulse begins.

    In white Gaussian noise of variance s^2, the softmax of the outputs is the probability of each
    position if the kernel is the pulse divided by s^2. So the network learns the matched filter,
    mirrored because a network correlates (North 1943; Turin 1960, "An introduction to matched
    filters"). Metrics: loss (nats); accuracy, the fraction of signals whose maximum output is at
    the pulse; in evaluation also correlated and convolved, the accuracies of the pulse itself as
    kernel, by cross-correlation and by convolution.
    """

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        logits, variables = model.init_with_output(key, batch["inputs"], train=False)
        steps, width = batch["inputs"].shape[1], batch["pulse"].shape[1]
        if logits.shape[1] != steps - width + 1:
            raise UserError(
                f"must be {width}, the width of the pulse, got {steps - logits.shape[1] + 1}.",
                "model.window",
            )
        return variables["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        x, positions = batch["inputs"], batch["targets"]
        logits = model.apply({"params": params}, x, train=train)
        metrics = {
            "loss": masked_sum(cross_entropy(logits, positions), batch),
            "accuracy": masked_sum(logits.argmax(-1) == positions, batch),
        }
        if not train:
            pulse = batch["pulse"][0][:, None, None]
            for name, kernel in (("correlated", pulse), ("convolved", pulse[::-1])):
                predicted = convolve(x, kernel, padding="VALID")[..., 0].argmax(-1)
                metrics[name] = masked_sum(predicted == positions, batch)
        return mean(metrics["loss"]), (model_state, metrics)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        params, metadata = trained.params, trained.metadata
        rows = [real(batch) for batch in batches]
        x, positions = (np.concatenate([r[k] for r in rows]) for k in ("inputs", "targets"))
        correlated = matched_filter(metadata["pulse"])[::-1]  # mirrored: `apply_filter` correlates
        learnt = np.asarray(params["filter"]["kernel"], float)[:, 0, 0]
        kernels = {
            "learnt": learnt / np.linalg.norm(learnt),
            "correlated with the pulse": correlated,
            "convolved with the pulse": correlated[::-1],
        }
        outputs = {k: np.asarray(apply_filter(x, v, "VALID"))[..., 0] for k, v in kernels.items()}
        return {
            "matched_filter": Panels(
                "Where is the pulse?", panels(x[0, :, 0], positions[0], kernels, outputs)
            ),
            "gains": Text("The filters on the test signals", table(outputs, positions, metadata)),
        }


def panels(
    signal: np.ndarray,
    position: int,
    kernels: dict[str, np.ndarray],
    outputs: dict[str, np.ndarray],
) -> tuple[LinePlot, ...]:
    """Plots of a signal [T], of the filters' outputs [N, P] for it, and of the kernels [n]."""
    learnt, correlated, convolved = kernels
    pulse = kernels[correlated]
    placed = np.full(len(signal), np.nan)
    placed[position : position + len(pulse)] = pulse
    mark = ("where the pulse begins", float(position))
    first = {k: outputs[k][0] for k in (correlated, convolved)}
    time, shifts = np.arange(len(signal)), np.arange(outputs[learnt].shape[1])
    signals = {"with noise": signal, "the pulse": placed}
    both = {"learnt": kernels[learnt], "the pulse": pulse}
    return (
        LinePlot("The signal", time, signals, "step", "amplitude", mark=mark),
        LinePlot("The filters' outputs", shifts, first, "step", "output", mark=mark),
        LinePlot("The kernels, of energy 1", np.arange(len(pulse)), both, "step", "weight"),
    )


def snr(output: np.ndarray, positions: np.ndarray, width: int) -> float:
    """Signal-to-noise ratio of outputs [N, P].

    The squared mean at the pulse over the variance of the outputs that do not see the pulse.
    """
    at = np.take_along_axis(output, positions[:, None], 1)
    noise = np.abs(np.arange(output.shape[1]) - positions[:, None]) >= width
    return float(at.mean() ** 2 / output[noise].var())


def table(outputs: dict[str, np.ndarray], positions: np.ndarray, metadata: dict) -> str:
    """A line for each filter, its accuracy and signal-to-noise ratio, and the bound."""
    lines = [f"{'filter':>25}  {'found':>5}  {'signal/noise':>12}"]
    for name, output in outputs.items():
        accuracy = np.mean(output.argmax(1) == positions)
        ratio = snr(output, positions, len(metadata["pulse"]))
        lines.append(f"{name:>25}  {accuracy:>5.3f}  {ratio:>12.2f}")
    lines.append(f"{'theory: energy/variance':>25}  {'':>5}  {metadata['snr']:>12.2f}")
    return "\n".join(lines)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoisyPulses(Generated):
    """Synthetic data: a known pulse at a random position of a noisy signal, as in radar or sonar.

    "inputs" [B, T, 1] float32 are white Gaussian noise of standard deviation 1 / sqrt(snr), plus
    `pulse`, of energy 1; "targets" [B] int32 are the steps at which it begins, uniform in 0 to T -
    width; "pulse" [B, width] float32 is the pulse, the same in every row.

    Attributes:
        length: number of steps T of a signal.
        width: number of steps of the pulse.
        snr: energy of the pulse over the variance of the noise.
    """

    length: int = 256
    width: int = 32
    snr: float = 25.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.width <= self.length:
            raise UserError(f"must be from 2 to length={self.length}, got {self.width}.", "width")
        if not (self.snr > 0 and math.isfinite(self.snr)):
            raise UserError(f"must be positive, got {self.snr}.", "snr")

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        positions = rng.integers(0, self.length - self.width + 1, rows, np.int32)
        signals = rng.normal(0, self.snr**-0.5, (rows, self.length))
        steps = positions[:, None] + np.arange(self.width)
        signals[np.arange(rows)[:, None], steps] += pulse(self.width)
        sent = np.tile(pulse(self.width), (rows, 1))
        inputs, sent = signals[..., None].astype(np.float32), sent.astype(np.float32)
        return {"inputs": inputs, "targets": positions, "pulse": sent}

    def extra_metadata(self) -> dict[str, Any]:
        """The pulse [width] and its energy over the variance of the noise."""
        return {"pulse": pulse(self.width).tolist(), "snr": self.snr}


def pulse(width: int) -> np.ndarray:
    """A decaying chirp [width] of energy 1, from 2 to 8 cycles per `width` steps.

    It is not symmetric, so correlation and convolution with it differ.
    """
    t = np.arange(width) / width
    wave = np.exp(-2 * t) * np.cos(2 * np.pi * (2 + 3 * t) * t)
    return wave / np.linalg.norm(wave)
