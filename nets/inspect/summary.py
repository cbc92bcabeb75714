"""Summary of an experiment: layers, parameters, arithmetic, memory; no array is allocated."""

import collections
import itertools
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from nets.inspect.cost import multiply_adds, residual_bytes
from nets.inspect.receptive_field import receptive_field
from nets.layers import recurrent_checks
from nets.layers.conv_windows import Sliding, observing
from nets.layers.recurrent import Recurrent
from nets.tasks.task import Batch, Task


def describe(
    model: nn.Module,
    task: Task,
    transformation: optax.GradientTransformation,
    batch: Batch,
    config: dict[str, Any],
    shapes: int = 1,
) -> dict[str, Any]:
    """The summary of an experiment, as values for JSON.

    `batch` holds the ShapeDtypeStructs of a training batch; `shapes` is how many shapes such
    batches have at most, each of which is compiled. `multiply_adds` is that of the evaluation loss
    of one row (an image, a sequence of `sequence_length`), or "unbounded"; a layer's `parameters`
    exclude those of its sublayers, so they add up to the total; `activation_bytes` is what the
    forward pass over the batch saves for the backward pass, before XLA's optimisations;
    `state_bytes` is the size of the model state. A recurrent layer also has its `backend`, and as
    `refused` the reasons why faster ones cannot run it. `sizes` has, for each convolution and
    pooling of `nets.layers`, the module that calls it and how the size of its output comes about.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    layers, sizes, (params, state) = _layers(model, task, key, batch)

    def loss(params, state, batch, key, train):
        return task.loss(model, params, state, batch, key, train)[0]

    row = {k: jax.ShapeDtypeStruct((1, *v.shape[1:]), v.dtype) for k, v in batch.items()}
    row_state = jax.eval_shape(lambda key, row: task.init(model, key, row), key, row)[1]
    inputs = (params, row_state, row, key)
    jaxpr = jax.make_jaxpr(lambda *inputs: loss(*inputs, train=False))(*inputs)
    count = multiply_adds(jaxpr)
    first = len(jax.tree.leaves((params, row_state)))  # index of the batch's first leaf
    images = [first + i for i, k in enumerate(sorted(row)) if row[k].ndim == 4]
    field = receptive_field(jaxpr, images[0]) if images else None
    names = () if "boxes" in batch else ("inputs", "targets")
    sequences = [batch[name] for name in names if name in batch]
    tokens = [v for v in sequences if v.ndim == 2 and jnp.issubdtype(v.dtype, jnp.integer)]
    return {
        "parameters": sum(x.size for x in jax.tree.leaves(params)),
        "multiply_adds": "unbounded" if count is None else count,
        "receptive_field": field and {"size": field[0], "stride": field[1]},
        "sequence_length": tokens[0].shape[1] if tokens else None,
        "batch_size": next(iter(batch.values())).shape[0],
        "shapes": shapes,
        "parameter_bytes": _bytes(params),
        "optimizer_bytes": _bytes(jax.eval_shape(transformation.init, params)),
        "state_bytes": _bytes(state),
        "activation_bytes": residual_bytes(
            lambda params, *rest: loss(params, *rest, train=True), params, state, batch, key
        ),
        "layers": layers,
        "sizes": sizes,
        "config": config,
    }


def _bytes(tree: Any) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _layers(
    model: nn.Module, task: Task, key: Any, batch: Batch
) -> tuple[list[dict], list[dict], tuple]:
    """A row for each module, in the order of the calls, and for each window that slides; and
    parameters and model state."""
    rows: dict[tuple[str, ...], dict] = {}
    sizes: dict[tuple[tuple[str, ...], int], dict] = {}
    calls: list[tuple[tuple[str, ...], Iterator[int]]] = [((), itertools.count())]

    def row(path, module):
        name, kind = "/".join(path) or "model", type(module).__name__
        return rows.setdefault(path, dict(path=name, type=kind, output=[], parameters=0))

    def slide(sliding):
        path, numbers = calls[-1]
        fields = {k: np.asarray(v).tolist() for k, v in sliding._asdict().items()}
        names = {"path": "/".join(path) or "model", "formula": _formula(sliding)}
        sizes[path, next(numbers)] = names | fields

    def note(call, args, kwargs, context):
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        entry = row(context.module.path, context.module)
        if isinstance(module := context.module, Recurrent):
            entry["backend"] = recurrent_checks.select_backend(module, resets=False)
            reasons = module.refusals() if module.backend == "auto" else {}
            entry["refused"] = {name: reason for name, reason in reasons.items() if reason}
        calls.append((context.module.path, itertools.count()))
        output = call(*args, **kwargs)
        calls.pop()
        entry["output"] = [
            list(x.shape) for x in jax.tree.leaves(output) if isinstance(x, jax.Array)
        ]
        return output

    def init(key, batch):
        with nn.intercept_methods(note), observing(slide):
            return task.init(model, key, batch)

    row((), model)
    params, state = jax.eval_shape(init, key, batch)
    for path, leaf in jax.tree.leaves_with_path(params):
        names = tuple(jax.tree_util.keystr(path, simple=True, separator="/").split("/"))
        owner = next(names[:n] for n in reversed(range(len(names))) if names[:n] in rows)
        rows[owner]["parameters"] += leaf.size
    return list(rows.values()), list(sizes.values()), (params, state)


def _formula(sliding: Sliding) -> str:
    """(W - F + 2P)/S + 1 with the numbers of one axis, or of each if they differ."""
    lines = []
    axes = zip(*sliding[1:], strict=True)
    for size, window, stride, (low, high), dilation, positions in axes:
        reach = dilation * (window - 1) + 1
        pad = f"2*{low}" if low == high else f"{low} + {high}"
        exact = (size - reach + low + high) / stride + 1
        way = "down" if positions < exact else "up"
        rounded = "" if positions == exact else f", rounded {way}"
        lines.append(f"({size} - {reach} + {pad})/{stride} + 1 = {positions}{rounded}")
    return lines[0] if len(set(lines)) == 1 else "; ".join(lines)


def render(description: dict[str, Any]) -> str:
    """The description as text in columns."""
    d = description
    rows = [("layer", "type", "output", "parameters")]
    for layer in d["layers"]:
        shapes = collections.Counter(map(str, layer["output"]))
        output = ", ".join(f"{n} x {s}" if n > 1 else s for s, n in shapes.items())
        rows.append((layer["path"], layer["type"], output, f"{layer['parameters']:,}"))
    rows.append(("total", "", "", f"{d['parameters']:,}"))

    one = f"sequence of {d['sequence_length']}" if d["sequence_length"] else "example"
    count = d["multiply_adds"]
    totals = [
        (f"multiply-adds, one {one}", count if count == "unbounded" else f"{count:,}"),
        ("parameters", _mebibytes(d["parameter_bytes"])),
        ("optimizer state", _mebibytes(d["optimizer_bytes"])),
        ("model state", _mebibytes(d["state_bytes"])),
        (f"activations, batch of {d['batch_size']}", _mebibytes(d["activation_bytes"])),
    ]
    for layer in d["layers"]:
        if "backend" in layer:
            refused = "; ".join(f"not {name}: {why}" for name, why in layer["refused"].items())
            backend = f"{layer['backend']} ({refused})" if refused else layer["backend"]
            totals.append((f"backend of {layer['path']}", backend))
    if d["shapes"] > 1:
        totals.append(("shapes of training batches", f"at most {d['shapes']}"))
    if field := d["receptive_field"]:
        size, stride = (" x ".join(map(str, field[k])) for k in ("size", "stride"))
        totals.append(("receptive field", f"{size} pixels, stride {stride}"))
    config = [(k, _value(v)) for k, v in d["config"].items()]
    sizes = [("size of", "window", "(W - F + 2P)/S + 1")]
    for one in d["sizes"]:
        window = " x ".join(map(str, one["window"]))
        sizes.append((one["path"], f"{one['kind']} {window}", one["formula"]))
    tables = (config, rows, sizes, totals) if d["sizes"] else (config, rows, totals)
    return "\n\n".join(map(_columns, tables))


def _mebibytes(n: int) -> str:
    return f"{n / 2**20:,.2f} MiB"


def _value(value: Any) -> str:
    """A value as its flag is written."""
    if isinstance(value, list):
        return ",".join(map(_value, value))
    return "none" if value is None else str(value)


def _columns(rows: list[tuple[str, ...]]) -> str:
    """Rows as aligned text; the last of four columns is right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if len(row) == 4:
            cells[3] = row[3].rjust(widths[3])
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
