"""`Recurrent` in plain NumPy, one row and step at a time, in float64."""

import numpy as np

CELLS = {"LSTM": (4, 2), "GRU": (3, 1), "Elman": (1, 1)}  # gates, entries of the carry


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(w, x, carry):
    i, f, g, o = np.split(x @ w["kernel"] + carry[1] @ w["recurrent_kernel"] + w["bias"], 4)
    c = sigmoid(f) * carry[0] + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def gru(w, x, carry):
    of_x = np.split(x @ w["kernel"] + w["bias"], 3)
    of_h = np.split(carry[0] @ w["recurrent_kernel"], 3)
    r, z = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
    n = np.tanh(of_x[2] + r * (of_h[2] + w["recurrent_bias"]))
    return (z * carry[0] + (1 - z) * n,)


def elman(w, x, carry):
    return (np.tanh(x @ w["kernel"] + carry[0] @ w["recurrent_kernel"] + w["bias"]),)


STEPS = {"LSTM": lstm, "GRU": gru, "Elman": elman}


def random_params(rng, model, inputs):
    """Weights of every layer and direction of a `Recurrent` over [B, T, inputs]."""
    units, (gates, _) = model.cell.features, CELLS[type(model.cell).__name__]
    params = {}
    for i in range(model.layers):
        for end in ("", "_reverse")[: 1 + model.bidirectional]:
            shapes = {
                "kernel": (inputs, gates * units),
                "recurrent_kernel": (units, gates * units),
                "bias": (gates * units,),
            }
            if gates == 3:
                shapes["recurrent_bias"] = (units,)
            params[f"layer_{i}{end}"] = {k: 0.6 * rng.normal(size=s) for k, s in shapes.items()}
        inputs = units * (1 + (model.bidirectional and model.merge == "concat"))
    return params


def forward(step, x, carry, resets):
    """Outputs and last carry of one row x [T, D]."""
    outputs, zeros = [], tuple(np.zeros_like(a) for a in carry)
    carry = zeros if resets[0] else carry  # even if the row has no step
    for t in range(len(x)):
        carry = step(x[t], zeros if t and resets[t] else carry)
        outputs.append(carry[-1])
    return outputs, carry


def backward(step, x, carry, resets):
    """`forward`, from the last step to the first."""
    outputs = []
    for t in reversed(range(len(x))):
        if t + 1 < len(x) and resets[t + 1]:  # the next piece starts at t + 1
            carry = tuple(np.zeros_like(a) for a in carry)
        carry = step(x[t], carry)
        outputs.insert(0, carry[-1])
    return outputs, carry


def ahead(step, x, carry, resets, k):
    """For each step t, from step t + k (or the end, or the next reset) back to t."""
    outputs = []
    for t in range(len(x)):
        end = t
        while end < min(t + k, len(x) - 1) and not resets[end + 1]:
            end += 1
        state = tuple(np.zeros_like(a) for a in carry)
        for s in range(end, t - 1, -1):
            state = step(x[s], state)
        outputs.append(state[-1])
    return outputs


def run(model, params, x, carry, lengths=None, reset=None):
    """Outputs and last carry of model.apply(params, x, carry, lengths=..., reset=...)."""
    batch, time = x.shape[:2]
    lengths = np.full(batch, time) if lengths is None else lengths
    reset = np.zeros((batch, time), bool) if reset is None else reset
    last = []
    for i in range(model.layers):
        directions, ends = [], []
        for d in range(1 + model.bidirectional):
            step = _step(model, params[f"layer_{i}_reverse" if d else f"layer_{i}"])
            ys = np.zeros((batch, time, model.cell.features))
            no_carry = d == 1 and model.lookahead is not None
            end = [np.array(a) for a in carry[i][0 if no_carry else d]]
            for b, n in enumerate(lengths):
                row = x[b, :n], tuple(a[b] for a in end), reset[b]
                if no_carry:
                    ys[b, :n] = np.reshape(ahead(step, *row, model.lookahead), ys[b, :n].shape)
                    continue
                outputs, state = (backward if d or model.reverse else forward)(step, *row)
                ys[b, :n] = np.reshape(outputs, ys[b, :n].shape)
                for a, value in zip(end, state, strict=True):
                    a[b] = value
            directions.append(ys)
            ends += [] if no_carry else [tuple(end)]
        last.append(tuple(ends))
        y = _merged(model, directions)
        x = y + x if model.residual and i > 0 else y
    return x, tuple(last)


def _step(model, weights):
    """The cell's step, with the mean of zoneout."""
    plain, keep = STEPS[type(model.cell).__name__], model.zoneout

    def step(x, carry):
        new = plain(weights, x, carry)
        if not keep:
            return new
        return tuple(p * a + (1 - p) * b for p, a, b in zip(keep, carry, new, strict=True))

    return step


def _merged(model, directions):
    if len(directions) == 1:
        return directions[0]
    one, two = directions
    if model.merge == "none":
        return one, two
    if model.merge == "concat":
        return np.concatenate([one, two], axis=-1)
    return one + two if model.merge == "sum" else (one + two) / 2
