"""Outputs of torch's recurrent modules, for tests to read without torch.

    python tests/interop/golden/make_recurrent.py

writes one .npz for each of them beside this file, the same each time.
"""

import functools
from pathlib import Path

import numpy as np
import torch

INPUTS, HIDDEN, STEPS, LENGTHS = 4, 3, 5, (3, 5)
MODULES = {
    "rnn_tanh": functools.partial(torch.nn.RNN, nonlinearity="tanh"),
    "rnn_relu": functools.partial(torch.nn.RNN, nonlinearity="relu"),
    "lstm": torch.nn.LSTM,
    "lstm_projection": functools.partial(torch.nn.LSTM, proj_size=2),
    "gru": torch.nn.GRU,
}


def reference(
    kind: str,
    layers: int = 2,
    bidirectional: bool = True,
    lengths: tuple[int, ...] | None = LENGTHS,
    bias: bool = True,
) -> dict[str, np.ndarray]:
    """A module with random weights on random inputs, from a random state, in float64.

    Returns:
        "state/" and a name: the state dict. "input" [B, T, D], "h_0" (and "c_0"), "lengths";
        "output" [B, T, ...], "h_n" (and "c_n"). "weight/" and one of these results: what it is
        multiplied by in the sum of all that is differentiated. "gradient/" and an input, a state
        or a name of the state dict: the derivative by it. "torch": the version.
    """
    rng = np.random.default_rng(0)
    module = MODULES[kind](
        input_size=INPUTS,
        hidden_size=HIDDEN,
        num_layers=layers,
        bias=bias,
        batch_first=True,
        bidirectional=bidirectional,
        dtype=torch.float64,
    )
    variables = dict(module.named_parameters())
    with torch.no_grad():
        for parameter in variables.values():
            parameter.copy_(torch.tensor(0.5 * rng.normal(size=tuple(parameter.shape))))
    found = {f"state/{name}": a.detach().clone() for name, a in variables.items()}
    batch = len(LENGTHS)
    sizes = {"h": module.proj_size or HIDDEN} | ({"c": HIDDEN} if module.mode == "LSTM" else {})
    given = {"input": rng.normal(size=(batch, STEPS, INPUTS))}
    for name, size in sizes.items():
        given[f"{name}_0"] = rng.normal(size=(layers * (1 + bidirectional), batch, size))
    given = {name: torch.tensor(a, requires_grad=True) for name, a in given.items()}
    x, *state = given.values()
    if lengths is not None:
        found["lengths"] = torch.tensor(lengths)
        x = torch.nn.utils.rnn.pack_padded_sequence(
            x, found["lengths"], batch_first=True, enforce_sorted=False
        )
    output, last = module(x, tuple(state) if len(state) > 1 else state[0])
    if lengths is not None:
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(
            output, batch_first=True, total_length=STEPS
        )
    results = {"output": output}
    for name, a in zip(sizes, last if len(state) > 1 else [last], strict=True):
        results[f"{name}_n"] = a
    weights = {name: torch.tensor(rng.normal(size=tuple(a.shape))) for name, a in results.items()}
    sum((weights[name] * a).sum() for name, a in results.items()).backward()
    found |= given | results | {f"weight/{name}": a for name, a in weights.items()}
    found |= {f"gradient/{name}": a.grad for name, a in (variables | given).items()}
    return {k: a.detach().numpy() for k, a in found.items()} | {
        "torch": np.array(torch.__version__)
    }


if __name__ == "__main__":
    for kind in MODULES:
        np.savez_compressed(Path(__file__).parent / f"{kind}.npz", **reference(kind))
