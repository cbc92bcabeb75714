"""Recurrent layers: one module that runs any cell over a sequence, and all that goes with it."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import recurrent_checks as checks
from nets.layers import recurrent_cudnn
from nets.layers.recurrent_cell import Cell
from nets.layers.recurrent_checks import Backend, Merge
from nets.layers.recurrent_scan import Layer, expand_mask, scan_layer


class Recurrent(nn.Module):
    """Layers of a recurrent cell over x [B, T, D], one upon the other.

    Padded steps (from `lengths` on) leave the carry as it is and give zeros, so the last carry is
    each row's own last. `reset` starts rows afresh before given steps. With `bidirectional` every
    layer has a second cell that reads from the end; with `lookahead` it sees no more than the next
    k steps: step t starts it at t + k, so that outputs are late by k steps and no more (its work
    grows k + 1 times; cf. Amodei et al. 2015, section 3.3).

    In training only: `dropout` on what goes from a layer to the next, never from a step to the
    next (Zaremba et al. 2014); with `variational`, one mask for all steps (Gal and Ghahramani
    2016); `recurrent_dropout` on the recurrent weights, one mask a call (Merity et al. 2018);
    `zoneout`, by which an entry of the carry keeps its value (Krueger et al. 2017), and which in
    evaluation is replaced by its mean.

    Attributes:
        cell: the cell, whose weights each layer and direction has its own of.
        layers: number of layers.
        bidirectional: whether a second cell reads from the end.
        merge: what becomes of the two directions' outputs.
        lookahead: steps ahead that the second direction sees; none is all.
        reverse: whether the one direction reads from the end, so that "the carry after the last
            step" is that after step 0.
        residual: whether each layer from the second on adds its input to its output.
        dropout: probability of dropping a unit between two layers.
        variational: whether one dropout mask serves all steps.
        recurrent_dropout: probability of dropping a recurrent weight.
        zoneout: for each entry of the cell's carry, the probability that a unit keeps it.
        chunk: steps whose inner values are computed again in the backward pass; none keeps all.
        backend: "fused" has its own backward pass, for reverse mode only; "scan" leaves it to
            automatic differentiation, and forward mode (`jax.jvp`, `jax.jacfwd`) needs it; "cudnn"
            is a GPU's own (a plain LSTM in float32); "auto" is the fastest of them that can run
            this layer (`refusals` tells why others cannot).
        dtype: computation dtype.
        param_dtype: what it stores, the carry too: a sum over the whole sequence.
    """

    cell: Cell
    layers: int = 1
    bidirectional: bool = False
    merge: Merge = "concat"
    lookahead: int | None = None
    reverse: bool = False
    residual: bool = False
    dropout: float = 0.0
    variational: bool = False
    recurrent_dropout: float = 0.0
    zoneout: tuple[float, ...] = ()
    chunk: int | None = None
    backend: Backend = "auto"
    dtype: DTypeLike = jnp.float32
    param_dtype: DTypeLike = jnp.float32

    def __post_init__(self):
        checks.check_cell(self.cell)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        carry: tuple | None = None,
        *,
        lengths: jax.Array | None = None,
        reset: jax.Array | None = None,
        train: bool = False,
        stages: bool = False,
    ) -> tuple:
        """Outputs [B, T, ...] (a pair with merge="none") and the carry after the last step.

        Args:
            x: [B, T, D].
            carry: that before the first step, as returned before or by `initial_carry`; zeros if
                none. One tuple a layer: (forward,) or (forward, backward).
            lengths: [B] (int), steps that each row really has, 0 to T; all if none.
            reset: [B, T] or, for step 0 alone, [B] (bool): rows that begin again from zeros
                before a step; it counts for nothing in padding but for step 0.
            train: whether dropout and zoneout act; needs the key "dropout" then.
            stages: whether the outputs of all layers, a tuple, are returned as a third result.

        Raises:
            TypeError: x is no array.
            ValueError: a field is out of its range or does not go with another (merge="none" with
                several layers), the backend cannot run the cell, x, lengths or reset have another
                shape, lengths are not integers from 0 to T (the range of traced ones, as inside
                `jax.jit`, is not looked at), the carry is of another depth, or zoneout of another
                length than the cell's carry.
        """
        checks.check_fields(self)
        checks.check_inputs(self.cell, x, "B, T")
        batch, length = x.shape[:2]
        if carry is None:
            carry = self.initial_carry((batch, *x.shape[2:]))
        checks.check_carry(carry, self.layers, self._carried_directions)
        if reset is not None:
            reset = jnp.asarray(reset)
            checks.check_reset(reset, batch, length)
            if reset.ndim == 1 and not (
                self.bidirectional or self.reverse
            ):  # nothing is left for each step to do
                carry = jax.tree.map(lambda a: jnp.where(expand_mask(reset, a), 0, a), carry)
                reset = None
            elif reset.ndim == 1:
                reset = jnp.zeros((batch, length), bool).at[:, 0].set(reset)
        time_major = lambda a: None if a is None else a.swapaxes(0, 1)  # noqa: E731
        valid, x, reset = None, time_major(x), time_major(reset)
        if lengths is not None:
            lengths = jnp.asarray(lengths)
            checks.check_lengths(lengths, batch, length)
            valid = jnp.arange(length)[:, None] < lengths[None]  # [T, B]
            x = jnp.where(expand_mask(valid, x), x, 0)  # NaN times a gradient of zero is NaN
            reset = None if reset is None else reset & valid.at[0].set(True)
        after, outputs = [], []
        for i, before in zip(range(self.layers), carry, strict=True):
            given = x
            if i > 0 and self.dropout:
                shared = (0,) if self.variational else ()
                x = nn.Dropout(self.dropout, shared, deterministic=not train)(x)
            ys, last = [], []
            for d in range(1 + self.bidirectional):
                name = f"layer_{i}" + "_reverse" * d
                if d and self.lookahead is not None:
                    ys.append(self._ahead(name, x, valid, reset, train))
                else:
                    backward = bool(d) or self.reverse
                    y, c = self.direction(name, x, before[d], valid, reset, train, backward)
                    ys.append(y)
                    last.append(c)
            x = ys[0] if len(ys) == 1 else self._merged(ys)
            if self.residual and i > 0:
                x = x + given
            after.append(tuple(last))
            outputs.append(jax.tree.map(time_major, x))
        found = (outputs[-1], tuple(after))
        return (*found, tuple(outputs)) if stages else found

    def step(self, carry: tuple, x: jax.Array) -> tuple[tuple, jax.Array]:
        """One step over x [B, D], for streams: the next carry and the output, as in evaluation.

        Raises:
            TypeError: x is no array.
            ValueError: x is not [B, D], or the layer reads from the end, so that a step needs those
                after it.
        """
        checks.check_inputs(self.cell, x, "B")
        if self.bidirectional or self.reverse:
            kind = "bidirectional" if self.bidirectional else "reversed"
            raise ValueError(f"a {kind} layer has no streaming form")
        outputs, carry = self(x[:, None], carry)
        return carry, outputs[:, 0]

    @nn.nowrap
    def initial_carry(self, shape: tuple[int, ...]) -> tuple:
        """The carry before the first step, zeros, for inputs of this shape in one step, [B, D]."""
        cell, carry = self.cell.clone(parent=None), []
        for i in range(self.layers):
            if i > 0:
                width = cell.output_features * (1 + (self.bidirectional and self.merge == "concat"))
                shape = (*shape[:-1], width)
            carry.append((cell.initial_carry(shape),) * self._carried_directions)
        # a copy of each array: a buffer that occurs twice cannot be donated
        return jax.tree.map(lambda a: jnp.array(a, self.param_dtype), tuple(carry))

    @property
    def _carried_directions(self) -> int:
        """Of each layer: one that looks ahead begins from zeros at each step."""
        return 1 + (self.bidirectional and self.lookahead is None)

    def _weights(self, name: str, shape: tuple[int, ...], train: bool) -> tuple[Cell, dict]:
        """A cell of this layer's, and its weights as they are computed with."""
        cell = self.cell.clone(parent=self, name=name)
        weights = {
            k: a.astype(self.dtype) for k, a in cell.weights(shape, self.param_dtype).items()
        }
        if train and self.recurrent_dropout:
            drop = nn.Dropout(self.recurrent_dropout, deterministic=False)
            weights |= {k: drop(a) for k, a in weights.items() if k.startswith("recurrent_kernel")}
        return cell.clone(parent=None), weights

    def direction(self, name, x, carry, valid, reset, train, backward):
        """One cell over x [T, B, ...], from either end."""
        cell, weights = self._weights(name, x.shape[1:], train)
        if backward:  # a row that begins before step t ends, from behind, after it
            x, valid = jnp.flip(x, 0), None if valid is None else jnp.flip(valid, 0)
            after = None if reset is None else jnp.flip(reset, 0).at[-1].set(False)
        elif reset is None:
            after = None
        else:
            carry = jax.tree.map(lambda a: jnp.where(expand_mask(reset[0], a), 0, a), carry)
            after = jnp.concatenate([reset[1:], jnp.zeros_like(reset[:1])])
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        x = x.astype(self.dtype)
        if checks.backend(self, after is not None) == "cudnn":
            c, h, ys = recurrent_cudnn.lstm(weights, *carry, x, valid)
            last = type(carry)(c, h)
        else:
            last, ys = self._run(cell, weights, x, carry, valid, after, train)
        return jnp.flip(ys, 0) if backward else ys, last

    def _ahead(self, name, x, valid, reset, train):
        """The second direction, for each step from zeros over the `lookahead` steps after it.

        All T windows of k + 1 steps go side by side, as rows of one batch.
        """
        length, batch = x.shape[:2]
        cell, weights = self._weights(name, x.shape[1:], train)
        steps = np.arange(length)[None] + np.arange(self.lookahead, -1, -1)[:, None]  # [k + 1, T]
        rows = lambda a: a[np.minimum(steps, length - 1)].reshape(len(steps), -1, *a.shape[2:])  # noqa: E731
        inside = np.repeat(steps < length, batch, axis=1)  # [k + 1, T B]
        seen = inside if valid is None else inside & rows(valid)
        after = None if reset is None else rows(reset).at[-1].set(False)
        carry = cell.initial_carry((length * batch, *x.shape[2:]))
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        xw = rows(cell.project(weights, x.astype(self.dtype)))
        seen = jnp.asarray(seen)
        last, _ = self._run(cell, weights, xw, carry, seen, after, train, projected=True)
        ys = cell.output(weights, last).astype(self.dtype)
        ys = ys.reshape(length, batch, *ys.shape[1:])
        return ys if valid is None else jnp.where(expand_mask(valid, ys), ys, 0)

    def _run(self, cell, weights, x, carry, valid, after, train, projected=False):
        """Scans x [T, B, ...]; rows where `after` [T, B] begin from zeros in the step after."""
        checks.check_zoneout(self.zoneout, cell, carry)
        kept = None
        if self.zoneout and train:
            keys = jax.random.split(self.make_rng("dropout"), len(carry))
            kept = tuple(
                jax.random.bernoulli(key, p, (len(x), *a.shape))
                for key, p, a in zip(keys, self.zoneout, carry, strict=True)
            )
        layer = Layer(
            cell.clone(name=None),  # layers of one size share what is compiled
            tuple(self.zoneout),
            jnp.dtype(self.dtype),
            checks.backend(self, after is not None) == "fused",
            projected,
            self.chunk,
        )
        return scan_layer(layer, weights, x, carry, (valid, after, kept))

    @nn.nowrap
    def refusals(self, resets: bool = False) -> dict[str, str | None]:
        """For each backend, why it cannot run this layer, or None; `auto` takes the first it can.

        Args:
            resets: whether rows begin again within the sequence.
        """
        return checks.refusals(self, resets)

    def _merged(self, ys: Sequence[jax.Array]) -> Any:
        if self.merge == "none":
            return tuple(ys)
        if self.merge == "concat":
            return jnp.concatenate(ys, axis=-1)
        return sum(ys) / (2 if self.merge == "average" else 1)
