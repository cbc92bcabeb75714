"""How a network bends its decision surface while it learns: the neural network playground.

The task of the experiment `playground`; its data is `nets.data.plane`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from nets.errors import UserError, check_range
from nets.report.figures import Figure, Panels
from nets.report.surface import Surface
from nets.tasks.classify import Classify
from nets.tasks.metrics import Metrics
from nets.tasks.sequence_figures import real
from nets.tasks.task import Batch, Trained

_POINTS = 200


@dataclasses.dataclass(frozen=True)
class Playground(Classify):
    """Binary classification of points [B, 2], which keeps its decision surface as it trains.

    The model state has `updates`, their number (of micro-batches, where an update gathers several),
    and `surfaces` [S, R, R], the probability of class 1 over the plane after so many updates as
    `snapshots` names. The picture `surface` shows them, `units` what each hidden unit of
    `model(x, train=..., stages=True)` is over the plane.

    Attributes:
        snapshots: updates after which the surface is kept.
        resolution: points R of the surface along each axis.
        extent: the plane is drawn from -extent to extent.
    """

    snapshots: tuple[int, ...] = (0, 30, 100, 300, 1000)
    resolution: int = 80
    extent: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "resolution", at_least=2)
        check_range(self, "extent", above=0)
        if min(self.snapshots, default=0) < 0:
            raise UserError(f"must be at least 0, got {self.snapshots}.", "snapshots")

    def init(self, model: nn.Module, key: jax.Array, batch: dict) -> tuple[Any, dict]:
        if batch["inputs"].shape[1:] != (2,):
            raise UserError(f"points [B, 2] are needed, got {list(batch['inputs'].shape)}.")
        params, state = super().init(model, key, batch)
        shape = (len(self.snapshots), self.resolution, self.resolution)
        return params, state | {"updates": jnp.zeros((), jnp.int32), "surfaces": jnp.zeros(shape)}

    def loss(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        train: bool,
    ) -> tuple[jax.Array, tuple[dict, Metrics]]:
        state, updates, surfaces = _split(model_state)
        loss, (new, metrics) = super().loss(model, params, state, batch, key, train)
        if train:
            now = jnp.array(self.snapshots) == updates
            frozen = jax.lax.stop_gradient({"params": params, **state})
            surface = jax.lax.cond(
                now.any(), lambda: self.surface(model, frozen), lambda: jnp.zeros_like(surfaces[0])
            )
            surfaces = jnp.where(now[:, None, None], surface, surfaces)
            updates += 1
        return loss, ({**new, "updates": updates, "surfaces": surfaces}, metrics)

    def test(
        self,
        model: nn.Module,
        params: Any,
        model_state: dict,
        batch: Batch,
        key: jax.Array,
        final: bool,
    ) -> tuple[dict, Metrics]:
        _, metrics = super().test(model, params, _split(model_state)[0], batch, key, final)
        return model_state, metrics

    def plane(self) -> np.ndarray:
        """The points [R R, 2] of the plane, by rows from the lowest."""
        axis = np.linspace(-self.extent, self.extent, self.resolution, dtype=np.float32)
        return np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)

    def surface(self, model: nn.Module, variables: dict) -> jax.Array:
        """The probability of class 1 over the plane, [R, R]."""
        logits = model.apply(variables, self.plane(), train=False)
        return jax.nn.sigmoid(logits).reshape(self.resolution, self.resolution)

    def figures(
        self, trained: Trained, batches: Sequence[Batch], metrics: Metrics, final: bool
    ) -> dict[str, Figure]:
        if not final:
            return {}
        model, (state, updates, surfaces) = trained.model, _split(trained.model_state)
        variables = {"params": trained.params, **state}
        rows = {k: a[:_POINTS] for k, a in real(batches[0]).items()}
        extent, points = (-self.extent, self.extent), (rows["inputs"], rows["targets"])
        by_title = {
            f"{n:,} updates": surface
            for n, surface in zip(self.snapshots, np.asarray(surfaces), strict=True)
            if n < updates
        }
        by_title[f"{int(updates):,} updates"] = np.asarray(self.surface(model, variables))
        panels = [
            Surface(title, surface, extent, (0.0, 1.0), *points)
            for title, surface in by_title.items()
        ]
        plain = trained._replace(model_state=state)
        return super().figures(plain, batches, metrics, final) | {
            "surface": Panels("Probability of orange while it learns", tuple(panels)),
            **self._units(model, variables, extent),
        }

    def _units(
        self, model: nn.Module, variables: dict, extent: tuple[float, float]
    ) -> dict[str, Figure]:
        _, stages = model.apply(variables, self.plane(), train=False, stages=True)
        if not stages:
            return {}
        panels, columns = [], max(stage.shape[-1] for stage in stages.values())
        for name, stage in stages.items():
            for k, unit in enumerate(np.asarray(stage, np.float32).T):
                square = unit.reshape(self.resolution, self.resolution)
                most = float(np.abs(square).max()) or 1.0
                title = f"{name}, unit {k}"
                panels.append(Surface(title, square, extent, (-most, most)))
        title = "Hidden units over the plane: blue negative, white 0, orange positive"
        return {"units": Panels(title, tuple(panels), columns=min(columns, 8))}


def _split(model_state: dict) -> tuple[dict, jax.Array, jax.Array]:
    """The state of the model alone, the number of updates and the surfaces."""
    state = {k: v for k, v in model_state.items() if k not in ("updates", "surfaces")}
    return state, model_state["updates"], model_state["surfaces"]
