"""A recurrent layer: runs any cell over a sequence, in one or both directions, in stacks."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike

from nets.layers import recurrent_checks, recurrent_cudnn
from nets.layers.recurrent_cell import Carry, Cell
from nets.layers.recurrent_checks import Backend, Merge
from nets.layers.recurrent_scan import ScanSpec, expand_mask, scan_layer


class Recurrent(nn.Module):
    """A stack of layers of a recurrent cell over x [B, T, D].

    Padded steps (from `lengths` on) do not change the carry and give zeros, so the last carry is
    that of each row's last step. `reset` sets the carry of rows to zero before given steps. With
    `bidirectional` each layer has a second cell that reads backwards; with `lookahead` it reads
    only the next k steps: it starts at t + k for output t, so that a stream is delayed by k steps
    (k + 1 times the work; cf. Amodei et al. 2015, section 3.3).

    In training only: `dropout` acts between layers, never between steps (Zaremba et al. 2014); with
    `variational`, one mask for all steps (Gal and Ghahramani 2016); `recurrent_dropout` acts on the
    recurrent weights, one mask per call (Merity et al. 2018); `zoneout` keeps the previous value of
    units of the carry at random, and in evaluation takes the mean (Krueger et al. 2017).

        >>> from nets.lstm import LSTM
        >>> layer, x = Recurrent(LSTM(4), layers=2), jnp.ones((2, 5, 3))
        >>> jax.eval_shape(layer.init_with_output, jax.random.key(0), x)[0][0].shape
        (2, 5, 4)

    Attributes:
        cell: the cell; each layer and direction has its own parameters.
        layers: number of layers.
        bidirectional: whether a second cell reads backwards.
        merge: how the outputs of the two directions are combined.
        lookahead: number of steps ahead that the second direction reads; None means all.
        reverse: whether the only direction reads backwards; the last carry is then that after
            step 0.
        residual: whether each layer from the second on adds its input to its output.
        dropout: probability of dropping a unit between two layers.
        variational: whether all steps share one dropout mask.
        recurrent_dropout: probability of dropping a recurrent weight.
        zoneout: for each entry of the cell's carry, the probability that a unit keeps its value.
        chunk: number of steps in a chunk, whose inner values are recomputed in the backward pass;
            None means that all inner values are saved.
        backend: "fused" has its own backward pass, for reverse mode only; "scan" uses automatic
            differentiation, as forward mode (`jax.jvp`, `jax.jacfwd`) needs; "cudnn" is cuDNN's
            (a plain LSTM in float32 on a GPU); "auto" is the fastest that supports this layer
            (`refusals` gives the reasons against the others).
        dtype: computation dtype.
        param_dtype: dtype of parameters and carry: the carry is a sum over the whole sequence.
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

    def __post_init__(self) -> None:
        recurrent_checks.check_cell(self.cell)
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
            carry: the carry before the first step, from an earlier call or `initial_carry`; None
                means zeros. One tuple per layer: (forward,) or (forward, backward).
            lengths: [B] (int), number of steps of each row, 0 to T; None means T.
            reset: [B, T] or, for step 0 only, [B] (bool): rows whose carry is set to zero before a
                step; ignored in padding, except for step 0.
            train: whether dropout and zoneout act; needs the key "dropout" then.
            stages: whether the outputs of all layers, a tuple, are returned as a third result.

        Raises:
            TypeError: x is not an array.
            ValueError: a field is out of its range or excludes another (merge="none" with several
                layers), the backend does not support the layer, x, lengths or reset have another
                shape, lengths are not integers from 0 to T (not checked inside `jax.jit`), or carry
                or zoneout have another number of entries.
        """
        recurrent_checks.check_fields(self)
        recurrent_checks.check_inputs(self.cell, x, "B, T")
        batch, length = x.shape[:2]
        if carry is None:
            carry = self.initial_carry((batch, *x.shape[2:]))
        recurrent_checks.check_carry(carry, self.layers, self._carried_directions)
        if reset is not None:
            reset = jnp.asarray(reset)
            recurrent_checks.check_reset(reset, batch, length)
            if reset.ndim == 1 and not (self.bidirectional or self.reverse):  # once, not per step
                carry = jax.tree.map(lambda a: jnp.where(expand_mask(reset, a), 0, a), carry)
                reset = None
            elif reset.ndim == 1:
                reset = jnp.zeros((batch, length), bool).at[:, 0].set(reset)
        valid, x = None, _time_major(x)
        reset = None if reset is None else _time_major(reset)
        if lengths is not None:
            lengths = jnp.asarray(lengths)
            recurrent_checks.check_lengths(lengths, batch, length)
            valid = jnp.arange(length)[:, None] < lengths[None]  # [T, B]
            x = jnp.where(expand_mask(valid, x), x, 0)  # NaN times a gradient of zero is NaN
            reset = None if reset is None else reset & valid.at[0].set(True)
        after, outputs = [], []
        for i, before in zip(range(self.layers), carry, strict=True):
            inputs = x
            if i > 0 and self.dropout:
                shared = (0,) if self.variational else ()
                x = nn.Dropout(self.dropout, shared, deterministic=not train)(x)
            ys, last = [], []
            for d in range(1 + self.bidirectional):
                name = f"layer_{i}_reverse" if d else f"layer_{i}"
                if d and self.lookahead is not None:
                    ys.append(self._ahead(name, x, valid, reset, train))
                else:
                    backward = bool(d) or self.reverse
                    y, c = self.direction(name, x, before[d], valid, reset, train, backward)
                    ys.append(y)
                    last.append(c)
            x = ys[0] if len(ys) == 1 else self._merged(ys)
            if self.residual and i > 0:
                x = x + inputs
            after.append(tuple(last))
            outputs.append(jax.tree.map(_time_major, x))
        result = (outputs[-1], tuple(after))
        return (*result, tuple(outputs)) if stages else result

    def step(self, carry: tuple, x: jax.Array) -> tuple[tuple, jax.Array]:
        """One step of a stream, x [B, D]: the next carry and the output, as in evaluation.

        Raises:
            TypeError: x is not an array.
            ValueError: x is not [B, D], or the layer reads backwards, so that a step needs later
                ones.
        """
        recurrent_checks.check_inputs(self.cell, x, "B")
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
        """Directions per layer that have a carry; with `lookahead` the second has none."""
        return 1 + (self.bidirectional and self.lookahead is None)

    def _weights(self, name: str, shape: tuple[int, ...], train: bool) -> tuple[Cell, dict]:
        """The cell and its weights, in the computation dtype and after recurrent dropout."""
        cell = self.cell.clone(parent=self, name=name)
        weights = {
            k: a.astype(self.dtype) for k, a in cell.weights(shape, self.param_dtype).items()
        }
        if train and self.recurrent_dropout:
            drop = nn.Dropout(self.recurrent_dropout, deterministic=False)
            weights |= {k: drop(a) for k, a in weights.items() if k.startswith("recurrent_kernel")}
        return cell.clone(parent=None), weights

    def direction(
        self,
        name: str,
        x: jax.Array,
        carry: Carry,
        valid: jax.Array | None,
        reset: jax.Array | None,
        train: bool,
        backward: bool,
    ) -> tuple[jax.Array, Carry]:
        """Runs one cell over x [T, B, ...], forwards or backwards: outputs and the last carry."""
        cell, weights = self._weights(name, x.shape[1:], train)
        if backward:  # a reset before step t is a reset after it in the reversed sequence
            x, valid = jnp.flip(x, 0), None if valid is None else jnp.flip(valid, 0)
            after = None if reset is None else jnp.flip(reset, 0).at[-1].set(False)
        elif reset is None:
            after = None
        else:
            carry = jax.tree.map(lambda a: jnp.where(expand_mask(reset[0], a), 0, a), carry)
            after = jnp.concatenate([reset[1:], jnp.zeros_like(reset[:1])])
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        x = x.astype(self.dtype)
        if recurrent_checks.select_backend(self, after is not None) == "cudnn":
            c, h, ys = recurrent_cudnn.lstm(weights, *carry, x, valid)
            last = type(carry)(c, h)
        else:
            last, ys = self._run(cell, weights, x, carry, valid, after, train)
        return jnp.flip(ys, 0) if backward else ys, last

    def _ahead(self, name, x, valid, reset, train):
        """The second direction: for each step, from zeros, over the next `lookahead` steps.

        All T sequences of k + 1 steps are rows of one batch.
        """
        length, batch = x.shape[:2]
        cell, weights = self._weights(name, x.shape[1:], train)
        steps = np.arange(length)[None] + np.arange(self.lookahead, -1, -1)[:, None]  # [k + 1, T]

        def rows(a):
            return a[np.minimum(steps, length - 1)].reshape(len(steps), -1, *a.shape[2:])

        inside = jnp.asarray(np.repeat(steps < length, batch, axis=1))  # [k + 1, T B]
        mask = inside if valid is None else inside & rows(valid)
        after = None if reset is None else rows(reset).at[-1].set(False)
        carry = cell.initial_carry((length * batch, *x.shape[2:]))
        carry = jax.tree.map(lambda a: a.astype(self.param_dtype), carry)
        xw = jax.tree.map(rows, cell.project(weights, x.astype(self.dtype)))
        last, _ = self._run(cell, weights, xw, carry, mask, after, train, projected=True)
        ys = cell.output(weights, last).astype(self.dtype)
        ys = ys.reshape(length, batch, *ys.shape[1:])
        return ys if valid is None else jnp.where(expand_mask(valid, ys), ys, 0)

    def _run(self, cell, weights, x, carry, valid, after, train, projected=False):
        """Scans x [T, B, ...]; rows where `after` [T, B] start from zeros in the next step."""
        recurrent_checks.check_zoneout(self.zoneout, cell, carry)
        keep = None
        if self.zoneout and train:
            keys = jax.random.split(self.make_rng("dropout"), len(carry))
            keep = tuple(
                jax.random.bernoulli(key, p, (len(x), *a.shape))
                for key, p, a in zip(keys, self.zoneout, carry, strict=True)
            )
        spec = ScanSpec(
            cell.clone(name=None),  # layers of one size share a compiled scan
            tuple(self.zoneout),
            jnp.dtype(self.dtype),
            recurrent_checks.select_backend(self, after is not None) == "fused",
            projected,
            self.chunk,
        )
        return scan_layer(spec, weights, x, carry, (valid, after, keep))

    @nn.nowrap
    def refusals(self, resets: bool = False) -> dict[str, str | None]:
        """For each backend, why it does not support this layer; None means that it does.

        Args:
            resets: whether `reset` is given for steps after the first.

        Returns:
            the backends, fastest first.
        """
        return recurrent_checks.refusals(self, resets)

    def _merged(self, ys: Sequence[jax.Array]) -> Any:
        if self.merge == "none":
            return tuple(ys)
        if self.merge == "concat":
            return jnp.concatenate(ys, axis=-1)
        return sum(ys) / (2 if self.merge == "average" else 1)


def _time_major(a: jax.Array) -> jax.Array:
    return a.swapaxes(0, 1)
