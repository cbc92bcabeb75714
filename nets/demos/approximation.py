"""How well two-layer networks of growing width approximate functions of one variable.

The model, the task and the data of the experiment `universal_approximation` (Cybenko 1989; Hornik,
Stinchcombe and White 1989; for ReLU Leshno et al. 1993).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.data.synthetic import Generated
from nets.errors import UserError
from nets.report.figures import Figure, Panels, Text
from nets.report.line_plot import LinePlot
from nets.tasks.metrics import Metrics, Rows, collect, compute, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Task, Trained
from nets.types import Activation

ACTIVATIONS = {
    "sigmoid": (nn.sigmoid, 40.0),
    "tanh": (jnp.tanh, 10.0),
    "arctan": (jnp.arctan, 10.0),
    "relu": (nn.relu, 5.0),
}
"""Activations by name, and the standard deviation of the initial weights in front of each."""


def triangle(x: np.ndarray) -> np.ndarray:
    """A triangle wave of three periods on [-1, 1], from -1 to 1."""
    return 4 * np.abs(1.5 * x - np.floor(1.5 * x + 0.5)) - 1


def peak(x: np.ndarray) -> np.ndarray:
    """A Gaussian of standard deviation 0.05 at 0.3, on a slope."""
    return np.exp(-np.square((x - 0.3) / 0.05) / 2) - x / 2


def sine(x: np.ndarray) -> np.ndarray:
    """sin(3 pi x), three periods on [-1, 1]."""
    return np.sin(3 * np.pi * x)


FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sine": sine,
    "triangle": triangle,
    "peak": peak,
}


class TwoLayerNetworks(nn.Module):
    """Independent networks, for each activation f, width N and function of `FUNCTIONS`.

        y = c + sum_i v_i f(w_i x + b_i) / sqrt(N)

    A hidden unit changes around x = -b_i / w_i, which is drawn evenly from -1 to 1; v and c are
    initialised to zero.

    Attributes:
        widths: numbers of hidden units N, in rising order.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    widths: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps x [B] to the values [B, widths, functions] of each activation's networks.

        Raises:
            UserError: `widths` are not rising numbers from 1.
        """
        if not self.widths or self.widths[0] < 1 or list(self.widths) != sorted({*self.widths}):
            raise UserError(f"must rise from 1 or more, got {self.widths}.", "widths")
        return {
            name: jnp.stack(
                [self._networks(x, f"{name}_{width}", width, *given) for width in self.widths], 1
            )
            for name, given in ACTIVATIONS.items()
        }

    def _networks(
        self, x: jax.Array, name: str, width: int, f: Activation, slope: float
    ) -> jax.Array:
        """The networks of one activation and width, [B, functions]."""

        def parameter(field: str, init: nn.initializers.Initializer, *shape: int) -> jax.Array:
            array = self.param(f"{name}_{field}", init, (len(FUNCTIONS), *shape), self.param_dtype)
            return array.astype(self.dtype)

        def bias_init(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
            return kernel.astype(dtype) * jax.random.uniform(key, shape, dtype, -1, 1)

        kernel = parameter("kernel", nn.initializers.normal(slope), width)
        bias = parameter("bias", bias_init, width)
        output = parameter("output", nn.initializers.zeros, width)
        constant = parameter("constant", nn.initializers.zeros)
        hidden = f(kernel[None] * x.astype(self.dtype)[:, None, None] + bias[None])
        return jnp.einsum("bfn,fn->bf", hidden, output) / math.sqrt(width) + constant[None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves(Generated):
    """Synthetic data: points of [-1, 1] and the values there of the functions of `FUNCTIONS`.

    "inputs" [B] float32 are drawn evenly, those of an evaluation are evenly spaced; "targets" [B,
    functions] float32.
    """

    def draw(self, rng: np.random.Generator, rows: int, split: str) -> Batch:
        x = rng.uniform(-1, 1, rows) if split == "train" else np.linspace(-1, 1, rows)
        x = x.astype(np.float32)
        return {"inputs": x, "targets": np.stack([f(x) for f in FUNCTIONS.values()], 1)}


@dataclasses.dataclass(frozen=True)
class Approximate(Task):
    """Trains all networks side by side by the sum of their mean squared errors.

    They share nothing, so each learns as if alone (unless gradients are clipped by norm). Metrics:
    loss, that sum; in an evaluation error_tanh and so on, for each activation the largest absolute
    error of its widest networks, over all points and functions.
    """

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        return model.init(key, batch["inputs"], train=False)["params"], {}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        squares = sum(jnp.square(e).sum((1, 2)) for e in errors(model, params, batch).values())
        metrics = {"loss": masked_sum(squares, batch)}
        return mean(metrics["loss"]), (model_state, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        _, (_, metrics) = self.loss(model, params, model_state, batch, key, train=False)
        rows = {k: jnp.abs(e) for k, e in errors(model, params, batch).items()}
        return model_state, metrics | {"errors": collect(rows, batch)}

    def finish(
        self, metrics: Metrics, metadata: dict[str, Any], tokenizer: Any
    ) -> dict[str, float]:
        worst = largest(metrics["errors"]) if "errors" in metrics else {}  # not while training
        return compute(metrics) | {f"error_{k}": float(e[-1].max()) for k, e in worst.items()}

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, params = trained.model, trained.params
        widths, worst = model.widths, largest(metrics["errors"])
        over_width = tuple(
            LinePlot(
                function, np.array(widths), {k: e[:, i] for k, e in worst.items()},
                "hidden units", "largest error", log=True, log_x=True,
            )
            for i, function in enumerate(FUNCTIONS)
        )  # fmt: skip
        figures: dict[str, Figure] = {
            "error_over_width": Panels(
                "Largest error of a two-layer network on [-1, 1]", over_width, same_scale=True
            ),
            "largest_errors": Text("Largest error, by width", table(worst, widths)),
        }
        rows = [real(batch) for batch in batches]
        x, targets = (np.concatenate([r[k] for r in rows]) for k in ("inputs", "targets"))
        values = jax.jit(lambda x: model.apply({"params": params}, x, train=False))(x)
        chosen = range(0, len(widths), max(len(widths) // 3, 1))
        for name, y in values.items():
            panels = tuple(
                LinePlot(
                    function, x,
                    {"the function": targets[:, i]}
                    | {units(widths[k]): np.asarray(y[:, k, i]) for k in chosen},
                    "x", "value",
                )
                for i, function in enumerate(FUNCTIONS)
            )  # fmt: skip
            figures[f"approximations_{name}"] = Panels(f"Sums of {name} units", panels)
        return figures


def errors(model: nn.Module, params: Any, batch: Batch) -> dict[str, jax.Array]:
    """The error of each network of each activation, [B, widths, functions]."""
    values = model.apply({"params": params}, jnp.asarray(batch["inputs"]), train=False)
    return {k: y - jnp.asarray(batch["targets"])[:, None] for k, y in values.items()}


def largest(rows: Rows) -> dict[str, np.ndarray]:
    """The maximum over all points, [widths, functions], by activation."""
    return {name: np.max(values, 0) for name, values in rows.values.items()}


def table(worst: dict[str, np.ndarray], widths: Sequence[int]) -> str:
    """A line for each activation and function, a column for each width."""
    lines = [f"{'':>17}" + "".join(f"{width:>9}" for width in widths)]
    for name, values in worst.items():
        for i, function in enumerate(FUNCTIONS):
            numbers = "".join(f"{value:>9.4f}" for value in values[:, i])
            lines.append(f"{name:>8}{function:>9}{numbers}")
    return "\n".join(lines)


def units(width: int) -> str:
    """A number of hidden units in words."""
    return "1 unit" if width == 1 else f"{width:,} units"
