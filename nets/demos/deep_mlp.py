"""Activations and gradients, layer by layer, of a deep network of equal layers.

The model and the task of the experiments `activations` and `initialisation`.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.errors import UserError, check_range
from nets.layers.classification_head import logits
from nets.layers.image_checks import check_head
from nets.layers.initialisers import initialiser
from nets.report.figures import Figure, Panels, Text
from nets.report.line_plot import LinePlot
from nets.tasks.classify import Classify
from nets.tasks.losses import cross_entropy
from nets.tasks.metrics import Metrics, masked_sum
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Trained
from nets.types import Activation, KernelInit

Statistics = dict[str, np.ndarray]  # values [depth] by name


class DeepMLP(nn.Module):
    """A multilayer perceptron of `depth` hidden layers of the same width, compiled as one scan.

    A layer is h = f(W x + b); with `batch_norm` h = f(norm(W x)); with `shortcut` every layer but
    the first gives x + h. Stages, each for all layers: sums [depth, B, width], the inputs of f, and
    outputs [depth, B, width].

    Attributes:
        depth: number of hidden layers, at least 2.
        width: number of units of each.
        activation: the nonlinearity f.
        negative_slope: slope of a leaky ReLU below 0; no other activation has one.
        kernel_init: initialiser of every kernel, by name (`nets.layers.initialisers`).
        initial_bias: initial value of the hidden biases, which moves the sums away from 0.
        batch_norm: whether sums are normalised over the batch before f.
        shortcut: whether the input of a layer is added to its output.
        num_classes: number of classes. None means that the data fills it in; 0 means no output
            layer, and the last hidden layer as the result.
        dtype: computation dtype.
        param_dtype: parameter dtype.
    """

    depth: int = 30
    width: int = 100
    activation: Activation = nn.relu
    negative_slope: float = 0.1
    kernel_init: KernelInit = "he_normal"
    initial_bias: float = 0.0
    batch_norm: bool = False
    shortcut: bool = False
    num_classes: int | None = None
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool,
        stages: bool = False,
        added: jax.Array | None = None,
    ) -> jax.Array | tuple[jax.Array, dict[str, jax.Array]]:
        """Maps x [B, ...] to logits [B, num_classes], float32 at least.

        Args:
            x: the inputs.
            train: whether batch normalisation uses the batch's statistics.
            stages: whether to return `(logits, stages)`.
            added: to the sums, [depth, B, width]; its gradient is that of the sums. None means 0.

        Raises:
            UserError: `depth` is below 2 or `width` below 1.
            ValueError: `num_classes` is None.
        """
        check_range(self, "depth", at_least=2)
        check_range(self, "width", at_least=1)
        check_head(self)
        added = jnp.zeros((self.depth, 1, 1), self.dtype) if added is None else added
        net = self.clone(parent=None, name=None)
        x, first = _Layer(net, train, joined=False, name="first")(x.reshape(len(x), -1), added[0])
        scanned = nn.scan(
            _Layer, variable_axes={"params": 0, "batch_stats": 0}, split_rngs={"params": True}
        )
        x, rest = scanned(net, train, joined=self.shortcut, name="rest")(x, added[1:])
        if self.num_classes:
            options = {"kernel_init": initialiser(self.kernel_init), "name": "output"}
            options |= {"dtype": self.dtype, "param_dtype": self.param_dtype}
            x = logits(self.num_classes, **options)(x)
        if not stages:
            return x
        sums, outputs = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, rest)
        return x, {"sums": sums, "outputs": outputs}

    @nn.nowrap
    def nonlinearity(self) -> Activation:
        """f, with its slope."""
        if self.activation is nn.leaky_relu:
            return functools.partial(nn.leaky_relu, negative_slope=self.negative_slope)
        return self.activation


class _Layer(nn.Module):
    """A hidden layer of a `DeepMLP`, for a scan: its outputs, and both of its stages."""

    net: DeepMLP
    train: bool
    joined: bool

    @nn.compact
    def __call__(
        self, x: jax.Array, added: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        net = self.net
        options = {"dtype": net.dtype, "param_dtype": net.param_dtype}
        options["bias_init"] = nn.initializers.constant(net.initial_bias)
        init, biased = initialiser(net.kernel_init), not net.batch_norm
        sums = nn.Dense(net.width, biased, kernel_init=init, **options, name="dense")(x)
        if net.batch_norm:
            sums = nn.BatchNorm(not self.train, momentum=0.9, **options, name="norm")(sums)
        sums = sums + added
        outputs = net.nonlinearity()(sums)
        outputs = x + outputs if self.joined else outputs
        return outputs, (sums, outputs)


def layers_of(
    model: DeepMLP, variables: dict[str, Any], batch: Batch, train: bool
) -> dict[str, jax.Array]:
    """The stages, and the "gradient" of each example's loss with respect to its sums.

    Each is [depth, B, width].
    """
    inputs, labels = (jnp.asarray(batch[name]) for name in ("inputs", "targets"))

    def loss(added):
        (outputs, stages), _ = model.apply(
            variables, inputs, train=train, stages=True, added=added, mutable=["batch_stats"]
        )
        return cross_entropy(outputs, labels).sum(), stages

    added = jnp.zeros((model.depth, len(inputs), model.width), model.dtype)
    gradient, stages = jax.grad(loss, has_aux=True)(added)
    return {**stages, "gradient": gradient}


def saturated(f: Activation, sums: jax.Array) -> jax.Array:
    """1 where the derivative of f is below a twentieth of its maximum, else 0."""
    derivative = jnp.vectorize(jax.grad(f))
    maximum = jnp.abs(derivative(jnp.linspace(-8, 8, 1601))).max()
    return (jnp.abs(derivative(sums.astype(jnp.float32))) < maximum / 20).astype(jnp.float32)


LABELS = {
    "mean": "mean of the outputs",
    "std": "standard deviation of the outputs",
    "positive": "share of outputs above 0",
    "saturated": "share of units that are saturated",
    "gradient": "gradient of the loss, mean size",
}


def statistics(model: DeepMLP, variables: dict[str, Any], batch: Batch) -> Statistics:
    """The statistics of `LABELS` on a batch, whose own mean and variance normalise it."""
    layers = jax.jit(functools.partial(layers_of, model, train=True))(variables, batch)
    outputs, gradient = (np.asarray(layers[k], np.float64) for k in ("outputs", "gradient"))
    each = {
        "mean": outputs,
        "positive": outputs > 0,
        "saturated": np.asarray(saturated(model.nonlinearity(), layers["sums"])),
        "gradient": np.abs(gradient),
    }
    values = {name: array.mean((1, 2)) for name, array in each.items()}
    return {name: values.get(name, outputs.std((1, 2))) for name in LABELS}


@dataclasses.dataclass(frozen=True)
class LayerStatistics(Classify):
    """Classification by a `DeepMLP`, with statistics of its layers before and after training.

    Metrics of an evaluation, besides those of `Classify`, over all hidden layers: mean and positive
    (share above 0) of the outputs, saturated (share of units whose derivative is below a twentieth
    of its maximum); and of the first layer gradient, the mean size of the gradient of an example's
    loss with respect to a sum.

    Attributes:
        initialisers: those that are compared at the end, before training: plain, with batch
            normalisation, and with shortcuts.
    """

    initialisers: tuple[KernelInit, ...] = ()

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        if not isinstance(model, DeepMLP):
            raise UserError(f"must be a DeepMLP, got {type(model).__name__}.", "model")
        return super().init(model, key, batch)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        layers = layers_of(model, {"params": params, **model_state}, batch, train=False)
        each = {
            "mean": layers["outputs"],
            "positive": layers["outputs"] > 0,
            "saturated": saturated(model.nonlinearity(), layers["sums"]),
            "gradient": jnp.abs(layers["gradient"][:1]),
        }
        metrics = {name: masked_sum(array.mean((0, 2)), batch) for name, array in each.items()}
        state, others = super().test(model, params, model_state, batch, key, final)
        return state, others | metrics

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        figures = super().figures(trained, batches, metrics, final)
        batch, model = real(batches[0]), trained.model
        after = {"params": trained.params, **trained.model_state}
        tables = {
            "before training": self.untrained(model, trained.key, batch),
            "after": statistics(model, after, batch),
        }
        figures["layers"] = Panels("Activations and gradients, layer by layer", charts(tables), 2)
        figures["layer_statistics"] = Text("Statistics of the layers", as_text(tables))
        if self.initialisers:
            figures |= self.comparison(model, trained.key, batch)
        return figures

    def untrained(self, model: DeepMLP, key: jax.Array, batch: Batch) -> Statistics:
        """The statistics of the model with initial parameters."""
        params, state = self.init(model, key, batch)
        return statistics(model, {"params": params, **state}, batch)

    def comparison(self, model: DeepMLP, key: jax.Array, batch: Batch) -> dict[str, Figure]:
        """Outputs and gradients before training, by initialiser and kind of network."""
        kinds = {
            "plain": {"batch_norm": False, "shortcut": False},
            "batch normalisation": {"batch_norm": True, "shortcut": False},
            "shortcuts": {"batch_norm": False, "shortcut": True},
        }
        tables = {
            kind: {
                name: self.untrained(model.clone(kernel_init=name, **fields), key, batch)
                for name in self.initialisers
            }
            for kind, fields in kinds.items()
        }
        panels = tuple(
            chart(statistic, tables[kind], f"{kind.capitalize()}: {LABELS[statistic]}")
            for statistic, kind in itertools.product(("std", "gradient"), kinds)
        )
        title = f"{model.depth} layers of {model.width} units before training"
        lines = [f"{'':>20}{'initialiser':>16}{'outputs, last layer':>21}{'gradient, first':>17}"]
        for kind, rows in tables.items():
            for name, table in rows.items():
                last, first = table["std"][-1], table["gradient"][0]
                lines.append(f"{kind:>20}{name:>16}{last:>21.1e}{first:>17.1e}")
        return {
            "initialisers": Panels(title, panels, 3),
            "initialisers_table": Text(title, "\n".join(lines)),
        }


def chart(statistic: str, tables: dict[str, Statistics], title: str) -> LinePlot:
    """A statistic over the layers, a curve for each table."""
    curves = {name: table[statistic] for name, table in tables.items()}
    layers = np.arange(1, 1 + len(next(iter(curves.values()))))
    positive = np.concatenate([curve[curve > 0] for curve in curves.values()])
    log = statistic in ("std", "gradient") and positive.max(initial=0) > 10 * positive.min(
        initial=1
    )
    return LinePlot(title, layers, curves, "layer", LABELS[statistic], log=log)


def charts(tables: dict[str, Statistics]) -> tuple[LinePlot, ...]:
    """A chart for each statistic but the mean, a curve for each table."""
    return tuple(
        chart(statistic, tables, label.capitalize())
        for statistic, label in LABELS.items()
        if statistic != "mean"
    )


def as_text(tables: dict[str, Statistics]) -> str:
    """A line for each layer of each table."""
    lines = []
    for name, table in tables.items():
        lines += [name, f"{'layer':>6}" + "".join(f"{k:>12}" for k in table)]
        rows = zip(*table.values(), strict=True)
        lines += [
            f"{i:>6}" + "".join(f"{value:>12.3g}" for value in row) for i, row in enumerate(rows, 1)
        ]
    return "\n".join(lines)
