"""The receptive field of a network, from its jaxpr: nothing runs, no array is allocated."""

from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal
from numpy.typing import ArrayLike

from nets.inspect.cost import as_tuple, subjaxprs, to_jaxpr

# primitives that move values between any two positions
_MIXING = ("scatter", "scatter-add", "fft", "ffi_call", "pure_callback")
_MOVING = ("pad", "reshape", "split", "squeeze")


class _Lost(Exception):
    """State of values that depend on the image in an unknown way; raised if they are convolved."""


# The state of an activation [B, spatial axes ..., rest ...] is an array [4, spatial axes] of image
# axis, jump, low, high: position p sees the pixels low + p·jump ... high + p·jump of that axis.
# Adjacent axes of one image axis (positions split by a reshape) add up. None: no image in it.
_State = np.ndarray | type[_Lost] | None


def receptive_field(jaxpr: ClosedJaxpr | Jaxpr, index: int) -> tuple[list, list] | None:
    """The theoretical receptive field of the deepest activation with several positions.

    Input `index` of the jaxpr is the image [B, spatial axes ..., C]. Convolution, pooling (also by
    reshape), slicing, padding and element-wise operations are followed. Axes are independent: for
    each, the result is the largest field of the activations with several positions along it, the
    last of equal ones. It may reach beyond the image. Paths through one number per channel
    (squeeze-and-excitation, the statistics of a norm) are ignored, as in published figures.
    Arithmetic: Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", 2019.

    Returns:
        (size, stride) per axis: the pixels that a unit sees, and those between neighbouring units.
        None means that there is no convolution, or that one reads the output of an unsupported
        operation (resizing, transposed convolution, transposition, scan).
    """
    jaxpr = to_jaxpr(jaxpr)
    rank = len(jaxpr.invars[index].aval.shape) - 2
    pixel = np.array([range(rank), [1] * rank, [0] * rank, [0] * rank])
    activations: list[tuple[np.ndarray, tuple[int, ...]]] = []
    try:
        _walk(jaxpr, [pixel if i == index else None for i in range(len(jaxpr.invars))], activations)
    except _Lost:
        return None
    if not activations:
        return None
    best = []
    for axis in range(rank):
        fields = [field[1:, axis] for field, sizes in activations if sizes[axis] > 1]
        fields = fields or [field[1:, axis] for field, _ in activations]
        best.append(max(reversed(fields), key=lambda field: field[2] - field[1]))
    jump, low, high = np.stack(best, 1)
    return (high - low + 1).tolist(), jump.tolist()


def _walk(jaxpr: Jaxpr, inputs: list[_State], activations: list) -> list[_State]:
    states = dict(zip(jaxpr.invars, inputs, strict=True))

    def read(v: Any) -> _State:
        return None if isinstance(v, Literal) else states.get(v)

    for eqn in jaxpr.eqns:
        name, inputs, subs = eqn.primitive.name, [read(v) for v in eqn.invars], subjaxprs(eqn)
        if all(s is None for s in inputs):
            continue
        # a plain call, unlike the body of a loop or a reduction, has the inputs of its equation
        skip = name == "cond"  # its first input is the index of the branch
        calls = [eqn.invars[skip:], *(sub.invars for sub in subs)]
        shapes = [[v.aval.shape for v in invars] for invars in calls]
        if shapes[1:] == shapes[:1] and name not in ("scan", "pallas_call"):
            outputs = _walk(subs[0], inputs[skip:], activations)
        elif any("conv_general_dilated" in str(s) for s in subs):
            raise _Lost
        else:
            outputs = [_Lost if subs else _step(eqn, inputs, k) for k in range(len(eqn.outvars))]
        for v, state in zip(eqn.outvars, outputs, strict=True):
            field = isinstance(state, np.ndarray)
            sizes = v.aval.shape[1 : 1 + state.shape[1]] if field else ()
            single = field and max(sizes) == 1
            states[v] = None if single else state
            # an equation that only moves positions, maybe before a pooling, enlarges no field
            candidate = (
                name not in _MOVING and field and not single and len({*state[0]}) == len(sizes)
            )
            if candidate and (activations or name == "conv_general_dilated"):
                activations.append((state, sizes))
    return [read(v) for v in jaxpr.outvars]


def _step(eqn: JaxprEqn, inputs: list[_State], output: int) -> _State:
    name, p, x = eqn.primitive.name, eqn.params, inputs[0]
    shapes, out = [v.aval.shape for v in eqn.invars], eqn.outvars[output].aval.shape
    if name == "conv_general_dilated":
        lhs, rhs, to = p["dimension_numbers"]
        spatial = tuple(range(1, len(out) - 1))
        if not isinstance(x, np.ndarray) or lhs[2:] != spatial or to[2:] != spatial:
            raise _Lost
        window, lows = [shapes[1][a] for a in rhs[2:]], [low for low, _ in p["padding"]]
        if max(p["lhs_dilation"], default=1) > 1:
            return _Lost
        return _slide(x, window, p["window_strides"], p["rhs_dilation"], lows)
    fields = [s for s in inputs if s is not None]
    if not all(isinstance(f, np.ndarray) and np.array_equal(f[:2], fields[0][:2]) for f in fields):
        return _Lost
    end = 1 + fields[0].shape[1]
    at = slice(1, end)
    if name.startswith("reduce_window"):
        options = (p[k][at] for k in ("window_dimensions", "window_strides", "window_dilation"))
        return _slide(x, *options, [low for low, _ in p["padding"][at]])
    if name == "slice":
        return _slide(x, 1, (p["strides"] or [1] * end)[at], 1, np.negative(p["start_indices"][at]))
    if name == "pad":
        lows, _, holes = zip(*p["padding_config"], strict=True)
        return _Lost if any(holes) else _slide(x, 1, 1, 1, lows[at])
    if name == "split":
        starts = np.zeros(len(out), int)
        starts[p["axis"]] = sum(p["sizes"][:output])
        return _slide(x, pad=-starts[at]) if starts[0] == 0 else _Lost
    if name == "reshape" and (state := _split(x, shapes[0], out)) is not None:
        return state
    # other operations keep positions unless they move, mix or drop a leading axis
    leading = tuple(range(end))
    layout = p.get("permutation", p.get("broadcast_dimensions", leading))
    touched = {a for k in ("axis", "axes", "dimension", "dimensions") for a in as_tuple(p.get(k))}
    if name == "dot_general":
        (contracted, _), (batch, _) = p["dimension_numbers"]
        layout = leading if inputs[1] is None and not batch else ()
        touched = set(contracted)
    elif name == "gather":
        layout = p["dimension_numbers"].offset_dims
    if "axes" in p and len(out) < len(shapes[0]) and touched.issuperset(leading[1:]):
        return None  # one number per channel
    if (name == "squeeze" or name.startswith("reduce_")) and 0 not in touched:
        joined = sorted(touched.intersection(leading), reverse=True)
        return _merge(x, [(axis - 1, shapes[0][axis]) for axis in joined])
    if name in _MIXING or layout[:end] != leading or not touched.isdisjoint(leading):
        return _Lost
    if any(s is not None and h[at] != out[at] for s, h in zip(inputs, shapes, strict=True)):
        return _Lost
    axes, jump, low, high = np.stack(fields, 1)
    return np.stack([axes[0], jump[0], low.min(0), high.max(0)])


def _slide(
    field: np.ndarray,
    window: ArrayLike = 1,
    stride: ArrayLike = 1,
    dilation: ArrayLike = 1,
    pad: ArrayLike = 0,
) -> np.ndarray:
    """The field after a sliding window that starts `pad` positions before the first."""
    axes, jump, low, high = field
    reach = np.multiply(np.subtract(window, 1), dilation)
    return np.stack([axes, jump * stride, low - jump * pad, high + jump * np.subtract(reach, pad)])


def _split(field: np.ndarray, old: tuple[int, ...], new: tuple[int, ...]) -> _State:
    """The field after axes of n positions are reshaped to n / k and k. None: another reshape."""
    columns, rest = [], list(new[1:])
    for column, size in zip(field.T, old[1:], strict=False):
        axis, jump, low, high = column
        if rest[:1] == [size]:
            columns.append(column)
            rest = rest[1:]
        elif len(rest) > 1 and rest[0] * rest[1] == size:
            inner, rest = rest[1], rest[2:]
            columns += [(axis, jump * inner, low, high), (axis, jump, 0, 0)]
        else:
            return None
    same = new[0] == old[0] and len(columns) > field.shape[1]
    return np.array(columns).T if same else None


def _merge(field: np.ndarray, axes: list[tuple[int, int]]) -> _State:
    """The field after axes (index, size), last first, merge with neighbours of the same axis."""
    for i, size in axes:
        axis, jump, low, high = field[:, i]
        # of two axes split from one, the first may go only if it has a single position
        field, to = np.delete(field, i, axis=1), i - 1
        if to < 0 or field[0, to] != axis:
            if size > 1 or i == field.shape[1] or field[0, i] != axis:
                return _Lost
            to = i
        field[2:, to] += low, high + jump * (size - 1)
    return field
