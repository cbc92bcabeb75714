"""The rows of attention.py for the Neural Turing Machine, beside the same machine in torch.

The setting is that of the experiment ntm_copy, its longest sequences. torch has the machine's own
weights, and before anything is timed its outputs are compared with ours.
"""

import copy
import functools

import jax
import numpy as np
import torch
from timing import interleaved, show
from torch import nn
from torch.nn import functional as F
from transformer_rows import our_step

from nets.data.algorithms import Copy
from nets.ntm import compared_models
from nets.tasks.answer_bits import AnswerBits

ROWS, UNITS, SLOTS, WIDTH, SHIFTS = 16, 100, 128, 20, 3
SIZES = 2 * WIDTH, 2, 2, 2 * SHIFTS, 2, WIDTH, WIDTH  # of both heads, then erased and added


class TheirNTM(nn.Module):
    """One head that reads, one that writes; torch's layers and a loop over the steps."""

    def __init__(self, inputs, outputs, params):
        super().__init__()
        w = {
            name: torch.tensor(np.asarray(a))
            for name, a in params["recurrent_0"]["layer_0"].items()
        }
        recurrent = w["recurrent_kernel"]
        self.lstm = len(recurrent) > WIDTH
        if self.lstm:
            self.controller = nn.LSTMCell(inputs + WIDTH, UNITS)
            weights = {"weight_hh": recurrent[:UNITS].T, "bias_hh": torch.zeros(4 * UNITS)}
            reads = recurrent[UNITS:]
            weights |= {"weight_ih": torch.cat([w["kernel"], reads]).T, "bias_ih": w["bias"]}
        else:
            self.controller = nn.Linear(inputs + WIDTH, UNITS)
            weights = {"weight": torch.cat([w["kernel"], recurrent]).T, "bias": w["bias"]}
        self.controller.load_state_dict(weights)
        self.heads, self.output = nn.Linear(UNITS, sum(SIZES)), nn.Linear(UNITS + WIDTH, outputs)
        self.heads.load_state_dict({"weight": w["head_kernel"].T, "bias": w["head_bias"]})
        kernel, bias = (torch.tensor(np.asarray(params["output"][k])) for k in ("kernel", "bias"))
        self.output.load_state_dict({"weight": kernel.T, "bias": bias})
        initial = {k: params.get(f"initial_{k}_0", np.zeros(UNITS)) for k in ("h", "c", "reads")}
        self.initial = nn.ParameterDict(
            {k: torch.tensor(np.float32(a)) for k, a in initial.items()}
        )

    def forward(self, x):
        h, c, reads = (self.initial[k].expand(len(x), -1) for k in ("h", "c", "reads"))
        memory = torch.zeros(len(x), SLOTS, WIDTH)
        weighting = F.one_hot(torch.zeros(len(x), 2, dtype=torch.long), SLOTS).float()
        carry, outputs = (h, c, reads, weighting, memory), []
        for step in x.unbind(1):
            carry = self.step(step, *carry)
            outputs.append(torch.cat([carry[0], carry[2]], -1))
        return self.output(torch.stack(outputs, 1))

    def step(self, x, h, c, reads, weighting, memory):
        x = torch.cat([x, reads], -1)
        if self.lstm:
            h, c = self.controller(x, (h, c))
        else:
            h = torch.tanh(self.controller(x))
        keys, strengths, gates, shifts, powers, erased, added = self.heads(h).split(SIZES, -1)
        weighting = self.address(memory, weighting, keys, strengths, gates, shifts, powers)
        reads = torch.bmm(weighting[:, :1], memory)[:, 0]
        written = weighting[:, 1, :, None]
        memory = memory * (1 - written * torch.sigmoid(erased)[:, None])
        memory = memory + written * torch.tanh(added)[:, None]
        return h, c, reads, weighting, memory

    def address(self, memory, before, keys, strengths, gates, shifts, powers):
        keys = torch.tanh(keys).unflatten(-1, (2, WIDTH))
        lengths = torch.rsqrt(memory.square().sum(-1) + 1e-6)[:, None]
        scales = F.softplus(strengths) * torch.rsqrt(keys.square().sum(-1) + 1e-6)
        products = torch.bmm(keys, memory.mT)
        content = torch.softmax(products * lengths * scales[..., None], -1)
        w = torch.lerp(before, content, torch.sigmoid(gates)[..., None])
        shares = torch.softmax(shifts.unflatten(-1, (2, SHIFTS)), -1)
        w = sum(torch.roll(w, k - 1, -1) * shares[..., k, None] for k in range(SHIFTS))
        return torch.softmax((1 + F.softplus(powers))[..., None] * torch.log(w + 1e-16), -1)


def their_step(model, batch):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y, mask = (torch.tensor(batch[k]) for k in ("inputs", "targets", "mask"))

    def run():
        optimizer.zero_grad()
        nats = F.binary_cross_entropy_with_logits(model(x), y, reduction="none").sum(-1)
        ((nats * mask).sum() / len(x) / np.log(2)).backward()
        optimizer.step()

    return run


def show_all(repetitions):
    data = Copy(batch_size=ROWS)
    examples = [data.example(np.random.default_rng(k), data.longest()) for k in range(ROWS)]
    batch = data.arrays(examples)
    _, steps, outputs = batch["targets"].shape
    models = compared_models(UNITS)
    for name, model in list(models.items())[:2]:
        model = model.clone(num_outputs=outputs)
        init = jax.jit(functools.partial(model.init, train=False))
        variables = init(jax.random.key(0), batch["inputs"])
        variables = jax.tree.map(  # no weight is 0
            lambda a: a + 0.1 * jax.random.normal(jax.random.key(1), a.shape), variables
        )
        theirs = TheirNTM(batch["inputs"].shape[-1], outputs, variables["params"])
        with torch.no_grad():
            expected = theirs(torch.tensor(batch["inputs"])).numpy()
        ours, _ = model.apply(variables, batch["inputs"], train=False)
        np.testing.assert_allclose(ours, expected, atol=1e-4)
        compiled = copy.deepcopy(theirs)
        compiled.step = torch.compile(compiled.step, dynamic=False)
        runs = {
            "ours": our_step(model, AnswerBits(), batch),
            "torch": their_step(theirs, batch),
            "torch, the step compiled": their_step(compiled, batch),
        }
        found = interleaved(runs, repetitions)
        show(f"Turing machine, {name}, training step of {ROWS} sequences of {steps}", found)
