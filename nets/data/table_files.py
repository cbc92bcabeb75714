"""The columns of a table: embedded in scikit-learn, in a CSV file or in an .npz file."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from nets.data import npz_files
from nets.errors import UserError, missing

EMBEDDED = {"breast_cancer": "class", "diabetes": "progression", "iris": "class", "wine": "class"}
"""The tables of scikit-learn, with the name of the target's column."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        values: [N], float64 or text.
        missing: number of missing values, of which `values` says nothing.
    """

    values: np.ndarray
    missing: int = 0


def read(name: str, path: str | None) -> dict[str, Column]:
    """The columns of the file, or where `path` is None of scikit-learn's table, by name.

    Raises:
        UserError: there is no such file, it cannot be read, or has columns of unequal length.
    """
    if path is None:
        return _embedded(name)
    if not os.path.isfile(path):
        raise UserError(f"={path} is no file.", "path")
    kinds = {".csv": _csv, ".npz": _npz}
    kind = os.path.splitext(path)[1].lower()
    if kind not in kinds:
        raise UserError(f"={path} must be a .csv or an .npz file.", "path")
    columns = kinds[kind](path)
    lengths = {name: len(column.values) for name, column in columns.items()}
    if len(set(lengths.values())) != 1 or not max(lengths.values()):
        rows = ", ".join(f"{name} {n}" for name, n in lengths.items()) or "no columns"
        raise UserError(f"={path} must have columns of one length, above 0; it has {rows}.", "path")
    return columns


def _embedded(name: str) -> dict[str, Column]:
    options = {"scaled": False} if name == "diabetes" else {}
    table = getattr(datasets, f"load_{name}")(**options)
    names = map(str, table.feature_names)
    columns = {name: Column(x) for name, x in zip(names, table.data.T, strict=True)}
    target = table.target if name == "diabetes" else np.array(table.target_names)[table.target]
    return columns | {EMBEDDED[name]: Column(target)}


def _csv(path: str) -> dict[str, Column]:
    try:
        import pandas
    except ImportError as error:
        raise missing("a CSV file", "pandas", "tables") from error
    try:
        frame = pandas.read_csv(path)
    except (ValueError, OSError) as error:  # of text, and pandas' own
        reason = str(error).partition("\n")[0]
        raise UserError(f"={path} cannot be read: {reason}", "path") from error
    columns = {}
    for name, series in frame.items():
        number = pandas.api.types.is_numeric_dtype(series)
        values = series.to_numpy(float) if number else np.array([*map(str, series)])
        columns[str(name)] = Column(values, int(series.isna().sum()))
    return columns


def _npz(path: str) -> dict[str, Column]:
    columns = {}
    for name, array in npz_files.read(Path(path), f"path={path}").items():
        if array.ndim == 1:
            columns[name] = _column(array)
        elif array.ndim == 2:
            columns |= {f"{name}_{k}": _column(array[:, k]) for k in range(array.shape[1])}
        else:
            raise UserError(
                f"={path} must have arrays [N] and [N, K]; {name} is {list(array.shape)}.", "path"
            )
    return columns


def _column(array: np.ndarray) -> Column:
    if array.dtype.kind in "biuf":
        return Column(array.astype(float), int(np.isnan(array.astype(float)).sum()))
    return Column(array.astype(str))
