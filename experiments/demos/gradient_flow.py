"""Why recurrent nets are hard: how gradients fade or explode on their way back through time.

    python launch.py --experiment=gradient_flow
    python launch.py --experiment=gradient_flow --model.cell=lstm --model.cell.chrono=50
    python launch.py --experiment=gradient_flow --model.cell=gru --model.cell.chrono=50

Trains a cell to recall a symbol over 50 steps, and draws the norm of the gradient over the steps
that it has come, for recurrent weights of several spectral radii and for the trained ones; how far
gates are open; and what clipping the gradient does to a run that diverges (Bengio, Simard and
Frasconi 1994; Pascanu, Mikolov and Bengio 2013). A table says how far a gradient reaches. Whatever
the cell, the picture `cells` compares a simple cell, an LSTM and a GRU of its size, before and
after the same training.

Gated cells need their gates to start at the length of the task, by `chrono`. The learning rate of
the clipping is one that no cell stands unclipped; with `chrono` a cell whose gradient's norm is
clipped learns slowly there.

Measured: recalled test symbols, seeds 0, 1, 2, and gradient left after 50 steps: simple 0.246,
1.0, 1.0 (2e-13, 1.8, 1.3); LSTM, chrono=50, 1.0 each (0.9, 0.33, 1.5), without 1.0, 0.628, 0.242
(0.78, 0.21, 3e-5); GRU, chrono=50, 1.0 each (2, 1.6, 3.3). 40 to 60 s of processor time.
One core of an AMD EPYC (AVX-512), jax 0.10.2.
"""

from nets.data.sequences import Recall
from nets.demos.gradient_flow import GradientFlow
from nets.elman import Elman
from nets.optim.optimizer import Optimizer
from nets.optim.rules import Adam
from nets.sequence import ManyToMany
from nets.train.experiment import Experiment


def experiment() -> Experiment:
    return Experiment(
        model=ManyToMany(cell=Elman(64)),
        task=GradientFlow(),
        data=Recall(distance=50, batch_size=64, eval_batch_size=50),
        optimizer=Optimizer(Adam(), 2e-3, clip_norm=1.0),
        steps=500,
        eval_every=100,
        save_every=500,
    )
