"""Figures of why recurrent networks are hard to train: gradients over time, gates, clipping."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from nets.elman import Elman
from nets.errors import UserError
from nets.gru import GRU
from nets.layers.recurrent import Recurrent
from nets.layers.recurrent_cell import Cell, gates
from nets.layers.sequence import one_hot
from nets.lstm import LSTM
from nets.report.figures import Figure, Panels, Text
from nets.report.line_plot import LinePlot
from nets.tasks.metrics import Metrics, mean
from nets.tasks.sequence import TagSequence
from nets.tasks.task import Batch, Trained


@dataclasses.dataclass(frozen=True)
class GradientFlow(TagSequence):
    """`TagSequence` with figures of how gradients flow back through the recurrent cell.

    (Hochreiter 1991; Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013.)

    Attributes:
        k1: steps between two backward passes. None means no truncation.
        k2: steps that gradients pass back through time. None means k1.
        radii: spectral radii of the random recurrent weights.
        clip_updates: number of updates in the comparison of clippings.
        clip_radius: spectral radius of the cell in that comparison.
        clip_rate: its learning rate, for plain gradient descent.
        clip_norm: maximum norm of its gradients.
        clip_value: maximum absolute value of their entries.
        cell_updates: number of updates in the comparison of cells.
        cell_rate: its learning rate, for Adam with gradients clipped to norm 1.
    """

    radii: tuple[float, ...] = (0.5, 0.9, 1.0, 1.1, 1.5)
    clip_updates: int = 800
    clip_radius: float = 1.5
    clip_rate: float = 30.0
    clip_norm: float = 0.005
    clip_value: float = 5e-5
    cell_updates: int = 500
    cell_rate: float = 2e-3

    def init(self, model: nn.Module, key: jax.Array, batch: Batch) -> tuple[Any, dict]:
        params, state = super().init(model, key, batch)
        kernel = params["recurrent"]["layer_0"].get("recurrent_kernel")
        if kernel is None or kernel.shape[1] % kernel.shape[0]:
            raise UserError(
                "must have square recurrent weights (elman, gru, mgu, or lstm without "
                f"projection), got {type(model.cell).__name__.lower()}.",
                "model.cell",
            )
        return params, state

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, params, key = trained.model, trained.params, trained.key
        batches = list(batches)
        x = one_hot(jnp.asarray(batches[0]["inputs"][:32]), model.vocab_size, jnp.float32)
        x = x.swapaxes(0, 1)  # [T, B, D]
        weights = {f"radius {r:g}": random_weights(model.cell, x, key, r) for r in self.radii}
        weights["trained"] = params["recurrent"]["layer_0"]
        flows = {name: np.asarray(flow(model.cell, w, x)) for name, w in weights.items()}
        levels = {}
        for name in ("radius 1", "trained"):
            if name in weights:
                levels |= gate_histograms(model.cell, weights[name], x, name)
        losses = self.clippings(model, batches, key)
        lags, bins = np.arange(len(x)), (np.arange(_BINS) + 0.5) / _BINS
        kind = type(model.cell).__name__
        panels = (
            LinePlot(
                "Gradient of the last output with respect to earlier states",
                lags, flows, "steps back", "norm, relative to the last step", True,
            ),
            LinePlot(levels_title(levels), bins, levels, "activation", "share of all"),
            LinePlot(
                f"Clipping, radius {self.clip_radius:g}, learning rate {self.clip_rate:g}",
                np.arange(1, self.clip_updates + 1), losses, "update", "loss (nats)", True,
            ),
        )  # fmt: skip
        return {
            "gradient_flow": Panels(f"{kind}: how gradients flow back through time", panels),
            "cells": self.comparison(model, batches, key),
            "memory": Text(f"{kind}: how far a gradient reaches", table(flows)),
        }

    def comparison(self, model: nn.Module, batches: list[dict], key: jax.Array) -> Panels:
        """Gradient flow in three cells of the model's size, before and after the same training.

        They train on all batches but the first, on which gradients and accuracies are measured.
        """
        x = one_hot(jnp.asarray(batches[0]["inputs"][:32]), model.vocab_size, jnp.float32)
        x = x.swapaxes(0, 1)  # [T, B, D]
        lags = np.arange(len(x))
        clip = optax.clip_by_global_norm(1.0)
        before, after = {}, {}
        for name, cell in cells_to_compare(model.cell.features, len(x) - 1).items():
            net = model.clone(cell=cell)
            params, state = self.init(net, key, batches[0])
            before[name] = np.asarray(flow(cell, params["recurrent"]["layer_0"], x))
            optimizer = optax.chain(clip, optax.adam(self.cell_rate))
            options = (optimizer, batches[1:] or batches, key, self.cell_updates)
            params, _ = self.descend(net, params, state, *options)
            _, (_, metrics) = self.loss(net, params, state, batches[0], key, False)
            accuracy = float(mean(metrics["accuracy"]))
            trained = flow(cell, params["recurrent"]["layer_0"], x)
            after[f"{name}, {accuracy:.0%} right"] = np.asarray(trained)
        axes = "steps back", "norm, relative to the last step", True
        charts = (
            LinePlot("Before training", lags, before, *axes),
            LinePlot(f"After {self.cell_updates} updates of Adam", lags, after, *axes),
        )
        title = "Gradient of the last output with respect to earlier states, in three cells"
        return Panels(title, charts, same_scale=True)

    def clippings(
        self, model: nn.Module, batches: list[dict], key: jax.Array
    ) -> dict[str, np.ndarray]:
        """Losses [clip_updates] of gradient descent from the same weights, by kind of clipping."""
        clips = {
            "not clipped": optax.identity(),
            f"norm at most {self.clip_norm:g}": optax.clip_by_global_norm(self.clip_norm),
            f"each entry at most {self.clip_value:g}": optax.clip(self.clip_value),
        }
        params, state = self.init(model, key, batches[0])
        inputs = one_hot(jnp.asarray(batches[0]["inputs"]), model.vocab_size, jnp.float32)
        start = random_weights(model.cell, inputs.swapaxes(0, 1), key, self.clip_radius)
        params["recurrent"]["layer_0"] = start
        losses = {}
        for name, clip in clips.items():
            optimizer = optax.chain(clip, optax.sgd(self.clip_rate))
            options = (optimizer, batches, key, self.clip_updates)
            _, losses[name] = self.descend(model, params, state, *options)
        return losses

    def descend(
        self,
        model: nn.Module,
        params: Any,
        state: dict,
        optimizer: optax.GradientTransformation,
        batches: list[dict],
        key: jax.Array,
        updates: int,
    ) -> tuple[dict, np.ndarray]:
        """The parameters after so many updates, and the loss before each; batches take turns."""

        @jax.jit
        def update(params, opt_state, batch):
            def loss(params):
                return self.loss(model, params, state, batch, key, False)[0]

            value, grads = jax.value_and_grad(loss)(params)
            changes, opt_state = optimizer.update(grads, opt_state)
            return optax.apply_updates(params, changes), opt_state, value

        opt_state, losses = optimizer.init(params), []
        for i in range(updates):
            params, opt_state, value = update(params, opt_state, batches[i % len(batches)])
            losses.append(float(value))
        return params, np.array(losses)


_BINS = 20
_OUTPUT = "|output|"


def cells_to_compare(features: int, lag: int) -> dict[str, Cell]:
    """A simple cell, an LSTM and a GRU; the gated ones have chrono initialisation for this lag."""
    chrono = max(lag, 2)
    return {
        "simple (Elman)": Elman(features),
        f"LSTM (chrono={chrono})": LSTM(features, chrono=chrono),
        f"GRU (chrono={chrono})": GRU(features, chrono=chrono),
    }


def random_weights(cell: Cell, x: jax.Array, key: jax.Array, radius: float) -> dict:
    """Random weights whose recurrent kernel has this spectral radius, for each gate.

    Args:
        x: [T, B, D].
    """
    layer = Recurrent(cell.clone(parent=None))
    weights = dict(layer.init(key, x.swapaxes(0, 1))["params"]["layer_0"])
    kernel = np.asarray(weights["recurrent_kernel"], np.float64)
    blocks = np.split(kernel, max(kernel.shape[1] // kernel.shape[0], 1), axis=1)
    largest = [np.abs(np.linalg.eigvals(b)).max() for b in blocks]
    kernel = np.concatenate([b * radius / r for b, r in zip(blocks, largest, strict=True)], 1)
    weights["recurrent_kernel"] = jnp.asarray(kernel, x.dtype)
    return weights


def flow(cell: Cell, weights: dict, x: jax.Array) -> jax.Array:
    """Norms of dL/ds_t [T] by lag T - 1 - t, relative to that of the last step.

    s_t is the carry after step t and L a random projection of the last output; norms are means over
    the rows of x [T, B, D].
    """
    cell = cell.clone(parent=None)
    before = cell.initial_carry(x.shape[1:])

    def last(nudges):  # added to each state, [T, B, ...]
        def step(carry, inputs):
            x, nudge = inputs
            carry = cell.update(weights, carry, x)
            return jax.tree.map(jnp.add, carry, nudge), None

        carry, _ = jax.lax.scan(step, before, (cell.project(weights, x), nudges))
        y = cell.output(weights, carry)
        return jnp.sum(y * jax.random.normal(jax.random.key(0), y.shape))

    zeros = jax.tree.map(lambda a: jnp.zeros((len(x), *a.shape)), before)
    squares = [jnp.square(g).sum(-1) for g in jax.tree.leaves(jax.jit(jax.grad(last))(zeros))]
    norms = jnp.sqrt(sum(squares)).mean(1)[::-1]  # [T]
    return norms / norms[0]


def gate_histograms(cell: Cell, weights: dict, x: jax.Array, name: str) -> dict[str, np.ndarray]:
    """Histogram of each gate's activations in 20 bins from 0 to 1, as fractions.

    For cells other than a plain LSTM or GRU it is the histogram of |output|.
    """
    cell = cell.clone(parent=None)

    def step(carry, x):
        values = {_OUTPUT: jnp.abs(cell.output(weights, carry))}
        if isinstance(cell, LSTM) and cell.cudnn:
            i, f, _, o = gates(x + carry.h @ weights["recurrent_kernel"], "ssts")
            values = {"input gate": i, "forget gate": f, "output gate": o}
        elif isinstance(cell, GRU) and cell.fusable and not cell.layer_norm:
            at = 2 * cell.features
            z = carry.h @ weights["recurrent_kernel"]
            r, u = gates((x + z)[:, :at], "ss")
            values = {"reset gate": r, "update gate": u}
        return cell.update(weights, carry, x), values

    before = cell.initial_carry(x.shape[1:])
    _, values = jax.lax.scan(step, before, cell.project(weights, x))
    return {
        f"{gate}, {name}": np.histogram(np.asarray(v), _BINS, (0, 1))[0] / v.size
        for gate, v in values.items()
    }


def levels_title(levels: dict[str, np.ndarray]) -> str:
    """The title for the histograms of `gate_histograms`."""
    gated = not any(name.startswith(_OUTPUT) for name in levels)
    return "How far gates are open" if gated else "How large outputs are"


def table(flows: dict[str, np.ndarray]) -> str:
    """For each flow [T], the lag at which less than 1% is left, and the rest at the longest lag."""
    longest = f"left after {len(next(iter(flows.values()))) - 1}"
    lines = [f"{'recurrent weights':>18}  {'1% left after':>13}  {longest:>14}"]
    for name, norms in flows.items():
        short = np.flatnonzero(norms < 0.01)
        reach = f"{short[0]} steps" if len(short) else "never"
        lines.append(f"{name:>18}  {reach:>13}  {norms[-1]:>14.2g}")
    return "\n".join(lines)
