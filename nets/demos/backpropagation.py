"""Backpropagation as a lecture derives it, beside what autodiff computes.

The task of the experiment `backpropagation`; its model is `nets.mlp.MLP` with sigmoid units. In the
notation of Andrew Ng's course, Theta^(l) holds the kernel (transposed) and the bias of layer l.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from nets.errors import UserError, check_range
from nets.mlp import MLP
from nets.report.figures import Figure, Panels, Text
from nets.report.line_plot import LinePlot
from nets.tasks.metrics import Metrics, masked_sum, mean
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Task, Trained

Layers = list[dict[str, jax.Array]]  # of each layer "kernel" [inputs, outputs], "bias" [outputs]


def forward(layers: Layers, x: jax.Array) -> list[jax.Array]:
    """The activations a^(1) = x [D] to a^(L), where a^(l+1) = sigmoid(Theta^(l) a^(l))."""
    activations = [x]
    for layer in layers:
        activations.append(jax.nn.sigmoid(activations[-1] @ layer["kernel"] + layer["bias"]))
    return activations


def predict(layers: Layers, x: jax.Array) -> jax.Array:
    """The outputs a^(L) [B, K] of inputs x [B, D]."""
    return jax.vmap(lambda row: forward(layers, row)[-1])(x)


def log_loss(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """-sum_k (y_k log h_k + (1 - y_k) log(1 - h_k)), [B] of outputs h and targets y [B, K]."""
    tiny = jnp.finfo(outputs.dtype).tiny
    right, wrong = (jnp.log(jnp.maximum(h, tiny)) for h in (outputs, 1 - outputs))
    return -(y * right + (1 - y) * wrong).sum(-1)


def cost(layers: Layers, x: jax.Array, y: jax.Array, regularisation: float) -> jax.Array:
    """J = mean of the log loss over m examples + regularisation / (2 m) * sum of kernels squared.

    Args:
        x: [m, D].
        y: [m, K], 0 or 1.
    """
    squares = sum(jnp.sum(jnp.square(layer["kernel"])) for layer in layers)
    return log_loss(predict(layers, x), y).mean() + regularisation / (2 * len(x)) * squares


def backpropagate(layers: Layers, x: jax.Array, y: jax.Array, regularisation: float) -> Layers:
    """D, the gradient of `cost`, by the recursion of the lecture, one example after the other.

    delta^(L) = a^(L) - y
    delta^(l) = (Theta^(l))^T delta^(l+1) * a^(l) * (1 - a^(l))
    Delta^(l) = Delta^(l) + delta^(l+1) (a^(l))^T, summed over the examples
    D^(l) = (Delta^(l) + regularisation * Theta^(l)) / m, without Theta for the bias
    """

    def accumulate(sums: Layers, example: tuple[jax.Array, jax.Array]) -> tuple[Layers, None]:
        activations = forward(layers, example[0])
        delta, added = activations[-1] - example[1], []
        for layer, a in reversed(list(zip(layers, activations[:-1], strict=True))):
            added.insert(0, {"kernel": jnp.outer(a, delta), "bias": delta})
            delta = layer["kernel"] @ delta * a * (1 - a)
        return jax.tree.map(jnp.add, sums, added), None

    sums, _ = jax.lax.scan(accumulate, jax.tree.map(jnp.zeros_like, layers), (x, y))
    return [
        {
            "kernel": (total["kernel"] + regularisation * layer["kernel"]) / len(x),
            "bias": total["bias"] / len(x),
        }
        for total, layer in zip(sums, layers, strict=True)
    ]


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def cost_by_recursion(
    layers: Layers, x: jax.Array, y: jax.Array, regularisation: float
) -> jax.Array:
    """`cost`, whose gradient with respect to the layers is `backpropagate`."""
    return cost(layers, x, y, regularisation)


def _forward(layers, x, y, regularisation):
    return cost(layers, x, y, regularisation), (layers, x, y)


def _backward(regularisation, saved, gradient):
    return jax.tree.map(lambda d: gradient * d, backpropagate(*saved, regularisation)), None, None


cost_by_recursion.defvjp(_forward, _backward)


def differences(
    layers: Layers, x: jax.Array, y: jax.Array, regularisation: float, epsilon: float
) -> Layers:
    """The gradient of `cost` by (J(Theta + epsilon) - J(Theta - epsilon)) / (2 epsilon)."""
    flat, unravel = jax.flatten_util.ravel_pytree(layers)

    def quotient(i: jax.Array) -> jax.Array:
        values = [
            cost(unravel(flat.at[i].add(step)), x, y, regularisation)
            for step in (epsilon, -epsilon)
        ]
        return (values[0] - values[1]) / (2 * epsilon)

    return unravel(jax.lax.map(quotient, jnp.arange(len(flat))))


@dataclasses.dataclass(frozen=True)
class Backpropagation(Task):
    """Classification by sigmoid outputs, one for each class, trained by `backpropagate`.

    The gradient that the optimizer gets is that of the recursion, not of autodiff. Metrics: loss
    (the log loss, summed over classes, without the penalty) and accuracy.

    Attributes:
        regularisation: weight of the squared kernels in the cost (lambda).
        check_examples: number of test examples of the gradient check that is drawn at the end.
    """

    regularisation: float = 1.0
    check_examples: int = 5

    maximise: ClassVar[tuple[str, ...]] = ("accuracy",)

    def __post_init__(self) -> None:
        check_range(self, "regularisation", at_least=0)
        check_range(self, "check_examples", at_least=1)

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        if not isinstance(model, MLP):
            raise UserError(f"must be an MLP, got {type(model).__name__}.", "model")
        if model.activation is not nn.sigmoid:
            name = model.activation.__name__
            raise UserError(f"must be sigmoid, whose derivative is a (1 - a), got {name}.",
                            "model.activation")  # fmt: skip
        if model.dropout:
            raise UserError(f"must be 0, got {model.dropout}.", "model.dropout")
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
        layers, x, y = layers_of(params), *examples(batch, model.num_classes)
        outputs = predict(layers, x)
        metrics = {
            "loss": masked_sum(log_loss(outputs, y), batch),
            "accuracy": masked_sum(outputs.argmax(-1) == batch["targets"], batch),
        }
        loss = mean(metrics["loss"])
        if train:
            loss = cost_by_recursion(layers, x, y, self.regularisation)
        return loss, (model_state, metrics)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        batch = {k: v[: self.check_examples] for k, v in real(batches[0]).items()}
        params, _ = self.init(trained.model, trained.key, batch)
        return gradient_check(params, batch, trained.model.num_classes, self.regularisation)


def layers_of(params: dict[str, Any]) -> Layers:
    """The layers of an `MLP`, first to last."""
    return [params[f"hidden_{i}"] for i in range(len(params) - 1)] + [params["output"]]


def examples(batch: Batch, classes: int) -> tuple[jax.Array, jax.Array]:
    """Inputs [B, D] and targets [B, K], 1 for the class of the example and 0 for the others."""
    x = jnp.asarray(batch["inputs"])
    return x.reshape(len(x), -1), jax.nn.one_hot(batch["targets"], classes, dtype=x.dtype)


_EPSILONS = 10.0 ** -np.arange(0.0, 11)


def gradient_check(
    params: dict[str, Any], batch: Batch, classes: int, regularisation: float
) -> dict[str, Figure]:
    """The recursion compared with differences and with autodiff, layer by layer, in float64."""
    with jax.enable_x64(True):
        layers, x, y = jax.tree.map(
            lambda a: np.asarray(a, np.float64), (layers_of(params), *examples(batch, classes))
        )
        arguments = layers, x, y, regularisation
        recursion, autodiff = (jax.jit(f)(*arguments) for f in (backpropagate, jax.grad(cost)))
        quotients = [jax.jit(differences)(*arguments, epsilon) for epsilon in _EPSILONS]
        errors = {
            f"layer {i + 1}": np.array([largest(q[i], recursion[i]) for q in quotients])
            for i in range(len(layers))
        }
        exact = [largest(*pair) for pair in zip(recursion, autodiff, strict=True)]
    last = {"recursion": recursion[-1], "differences": quotients[4][-1]}
    last = {name: np.asarray(layer["kernel"]).ravel() for name, layer in last.items()}
    order = np.argsort(last["recursion"])
    lines = [
        "largest difference from the recursion, float64",
        f"{'':>9}{'autodiff':>11}{'1e-4':>11}",
    ]
    for (name, error), autodiff_error in zip(errors.items(), exact, strict=True):
        lines.append(f"{name:>9}{autodiff_error:>11.1e}{error[4]:>23.1e}")
    panels = (
        LinePlot(
            "Largest error of a difference quotient", _EPSILONS, errors,
            "step epsilon", "|quotient - recursion|", log=True, log_x=True,
        ),
        LinePlot(
            "Gradient of the last layer's kernel", np.arange(len(order)),
            {name: gradient[order] for name, gradient in last.items()},
            "weight, sorted by its gradient", "gradient",
        ),
    )  # fmt: skip
    return {
        "gradient_check": Panels("Backpropagation checked by differences", panels),
        "gradients": Text("Backpropagation, differences and autodiff", "\n".join(lines)),
    }


def largest(a: dict[str, jax.Array], b: dict[str, jax.Array]) -> float:
    """The largest absolute difference of the kernels and biases of a layer."""
    return max(float(jnp.abs(a[name] - b[name]).max()) for name in a)
