"""Rows of the benchmarks against torch: a network's training step, and what it says of a batch."""

import functools

import jax
import optax
import torch
from timing import interleaved, show


def waiting(run):
    """The same, which waits for what it computes."""
    return lambda: jax.block_until_ready(run())


def channels_last(images):
    """Images [B, H, W, C] as torch's [B, C, H, W], in the same memory."""
    return torch.tensor(images).movedim(-1, 1)


def our_step(model, task, batch):
    """A training step with Adam, and the parameters and state that it updates."""
    optimizer, key = optax.adam(1e-3), jax.random.key(0)
    params, model_state = jax.jit(functools.partial(task.init, model))(key, batch)
    state = [params, model_state, jax.jit(optimizer.init)(params)]

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(params, model_state, opt_state, batch):
        loss = functools.partial(task.loss, model, train=True)
        grads, (model_state, _) = jax.grad(loss, has_aux=True)(params, model_state, batch, key)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), model_state, opt_state

    def run():
        state[:] = step(*state, batch)
        jax.block_until_ready(state)

    return run, state


def their_step(net, loss):
    """The same in torch, of the loss that a function of no arguments gives."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def run():
        net.train()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return run


def network(name, model, task, options, batch, theirs, their_loss, their_answer, repetitions):
    """Both rows of a network: a training step, and what it says of the batch.

    Args:
        name: of the row.
        model: the model.
        task: what it is trained for.
        options: of the call of the trained model.
        batch: its batch, as numpy arrays.
        theirs: the same network in torch.
        their_loss: its loss of the batch.
        their_answer: what it says of the batch.
        repetitions: of each.
    """
    images = len(batch["inputs"])
    batch = jax.device_put(batch)
    step, state = our_step(model, task, batch)
    count = sum(p.size for p in jax.tree.leaves(state[0]))
    twins = sum(p.numel() for p in theirs.parameters())
    assert count == twins, (count, twins)
    runs = {"ours": step, "torch": their_step(theirs, their_loss)}
    times = interleaved(runs, repetitions)
    show(f"{name} ({count:,} parameters), training step of {images} images, ms", times)
    answer = jax.jit(
        lambda params, state, x: model.apply({"params": params, **state}, x, **options)
    )
    runs = {
        "ours": waiting(lambda: answer(state[0], state[1], batch["inputs"])),
        "torch": their_answer,
    }
    times = interleaved(runs, repetitions)
    show(
        f"{name}, applied to {images} images, ms", times, f"; {images / times['ours']:.0f} images/s"
    )
