"""Rejection of the least certain answers of a classifier (LeCun et al. 1989)."""

from collections.abc import Sequence

import jax
import numpy as np

from nets.errors import UserError
from nets.tasks.metrics import Rows


def check_shares(shares: Sequence[float]) -> None:
    """Refuses, by UserError of the field "rejection", values that are no shares of the examples."""
    if not all(0 <= share < 1 for share in shares):
        text = ",".join(map(str, shares))
        raise UserError(f"must be shares at least 0 and below 1, got {text}.", "rejection")


def answers(scores: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
    """The rows "target", "prediction" and "margin" [B] of scores [B, K].

    An answer is as certain as the margin between the two largest scores.
    """
    top, classes = jax.lax.top_k(scores, 2)
    return {"target": targets, "prediction": classes[:, 0], "margin": top[:, 0] - top[:, 1]}


def curve(margin: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error among the accepted against the share rejected, least certain first.

    Args:
        margin: [N].
        wrong: [N], whether the prediction is.

    Returns:
        rejected [N] and error [N], both shares in [0, 1]; entry k has the k least certain rejected.
    """
    errors = wrong[np.argsort(margin, kind="stable")]
    left = np.cumsum(errors[::-1])[::-1]
    n = len(wrong)
    return np.arange(n) / n, left / (n - np.arange(n))


def errors(rows: Rows, shares: Sequence[float]) -> dict[str, float]:
    """The error of all answers, and that of those left when each of these shares is rejected.

    Shares are rounded down to whole examples.

        >>> rows = {"target": [0, 1, 1], "prediction": [0, 0, 1], "margin": [3.0, 1.0, 2.0]}
        >>> errors(Rows(rows, None), (0.4,))["error_rejecting_40"]
        0.0
    """
    values = {k: np.asarray(rows.values[k]) for k in ("target", "prediction", "margin")}
    wrong = values["prediction"] != values["target"]
    _, left = curve(values["margin"], wrong)
    at = {f"error_rejecting_{100 * s:g}": left[int(s * len(wrong) + 1e-9)] for s in shares}
    return {name: float(error) for name, error in ({"error": left[0]} | at).items()}
