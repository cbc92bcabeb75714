"""Run as a program: trains 50 steps on all devices and prints the losses.

python curve.py {classifier|language_model|lenet} {float64|float32}
"""

import json
import sys

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", sys.argv[2] == "float64")

from nets.cli.compilation_cache import use_cache  # noqa: E402
from nets.cli.options import Options  # noqa: E402
from nets.data.images import Images  # noqa: E402
from nets.lenet import LeNet5  # noqa: E402
from nets.train import loop, sharding, train_state  # noqa: E402
from tests.support import toys  # noqa: E402

use_cache(Options().compilation_cache)
kinds = {"dtype": jnp.dtype(sys.argv[2]), "param_dtype": jnp.dtype(sys.argv[2])}
if sys.argv[1] == "lenet":
    data = Images(image_size=28, batch_size=32, rotate=9)
    experiment = toys.classifier(model=LeNet5(), data=data)
else:
    experiment = getattr(toys, sys.argv[1])()
    experiment = toys.dataclasses.replace(experiment, model=experiment.model.clone(**kinds))

mesh = sharding.make()
init = train_state.make_init(experiment)
state = jax.jit(init, out_shardings=train_state.shardings(jax.eval_shape(init), mesh))()
update = loop.compile_step(experiment, state, mesh, experiment.data.train(0)[0])
batches, losses = experiment.data.train(0), []
for i in range(50):
    state, metrics = update(state, sharding.put(batches[i], sharding.rows(mesh)))
    losses.append(float(metrics["loss"][0] / metrics["loss"][1]))
print(json.dumps({"devices": mesh.size, "losses": losses}))
