"""Tables: rows of which one column is to be predicted from the others."""

import dataclasses
import functools
import hashlib
import os
from typing import Any, Literal, NamedTuple

import numpy as np

from nets.data import table_files
from nets.data.checks import check_fits
from nets.data.dataset import Batch, Batches, Dataset, Spec, padded, shuffled
from nets.data.table_files import EMBEDDED, Column
from nets.errors import UserError, check_choice, check_range

_CATEGORIES = 100  # different texts that a column may have
_SPLIT_SEED = 0


@dataclasses.dataclass(frozen=True)
class Table(Dataset):
    """Any table of numbers and texts, one column of which is the target.

    Batches hold "inputs" [B, F] float32 and "targets": classes int32 [B], in sorted order, or a
    number float32 [B, 1]; those of an evaluation also "mask" [B] float32. Numbers are standardised
    by the mean and the standard deviation of the training rows, a target that is a number too;
    texts are one-hot encoded, one input for each. Rows are assigned to the splits at random, always
    alike, with equal shares of each class.

    Attributes:
        name: "breast_cancer", "diabetes", "iris" or "wine", which scikit-learn contains.
        path: a .csv file, or an .npz file of columns [N] (or of several, [N, K]); is taken instead
            of `name`.
        target: name of the target's column. None means that of scikit-learn's table.
        kind: what the target is: one of several classes, one of two for a model of one output (that
            of the second), or a number.
        exclude: names of columns that are left out.
        categorical: names of columns of numbers that are one-hot encoded as texts are.
        batch_size: rows in a training batch.
        eval_batch_size: rows in a batch of an evaluation.
        validation: share of all rows in the split "validation".
        test: share of all rows in the split "test".
        mean: of each input, that is subtracted. None means that of the training rows.
        std: standard deviation of each input, that divides it. None means that of the training
            rows.
        target_mean: the mean of a target that is a number, likewise.
        target_std: the standard deviation of a target that is a number, likewise.
    """

    name: Literal["breast_cancer", "diabetes", "iris", "wine"] = "breast_cancer"
    path: str | None = None
    target: str | None = None
    kind: Literal["classes", "binary", "number"] = "classes"
    exclude: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    batch_size: int = 32
    eval_batch_size: int = 256
    validation: float = 0.1
    test: float = 0.2
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    target_mean: float | None = None
    target_std: float | None = None

    def __post_init__(self) -> None:
        check_choice(self, "name", tuple(EMBEDDED))
        check_choice(self, "kind", ("classes", "binary", "number"))
        check_range(self, "batch_size", "eval_batch_size", at_least=1)
        check_range(self, "validation", "test", at_least=0, below=1)
        check_range(self, "target_std", above=0)
        if self.path is not None and self.target is None:
            raise UserError("must be given with path: the name of the column to predict.", "target")

    def train(self, seed: int) -> Batches:
        whole = self._prepared()
        rows = whole.rows["train"]
        check_fits(self, len(rows), f"training rows of {self.source}")
        return Batches(lambda i: whole.batch(rows[shuffled(seed, len(rows), self.batch_size, i)]))

    def evaluate(self, split: str) -> Batches:
        """All rows of "train", "validation" or "test"; the last batch is padded."""
        self.check_split(split, "train")
        whole = self._prepared()
        rows = whole.rows[split]
        return padded(len(rows), self.eval_batch_size, lambda chosen: whole.batch(rows[chosen]))

    def splits(self) -> tuple[str, ...]:
        shares = {"validation": self.validation, "test": self.test}
        return tuple(split for split, share in shares.items() if share > 0)

    def spec(self) -> Spec:
        """Shapes, num_classes (number of outputs: 1 but for `kind` "classes"), class_names."""
        whole = self._prepared()
        arrays = {
            name: ((self.batch_size, *array.shape[1:]), array.dtype)
            for name, array in (("inputs", whole.inputs), ("targets", whole.targets))
        }
        known = {k: v for k, v in whole.metadata.items() if k in ("num_classes", "class_names")}
        return Spec(arrays, known)

    def metadata(self) -> dict[str, Any]:
        """num_classes and class_names as `spec`; digest, train_examples, sizes by split; `columns`,
        the names of the inputs, with their `mean` and `std`; `target`, its column, and of a number
        target_mean and target_std."""
        return self._prepared().metadata

    @property
    def source(self) -> str:
        """The file, or the table's name."""
        return self.path or self.name

    def _prepared(self) -> "_Prepared":
        stamp = None
        if self.path is not None and os.path.isfile(self.path):
            status = os.stat(self.path)
            stamp = status.st_mtime_ns, status.st_size
        return _prepare(self, stamp)


class _Prepared(NamedTuple):
    """A table in memory.

    Attributes:
        inputs: [N, F] float32, standardised.
        targets: [N] int32, or [N, 1] float32, standardised.
        rows: indices of the rows of each split.
        metadata: as `Table.metadata` has it.
    """

    inputs: np.ndarray
    targets: np.ndarray
    rows: dict[str, np.ndarray]
    metadata: dict[str, Any]

    def batch(self, rows: np.ndarray) -> Batch:
        """These rows."""
        return {"inputs": self.inputs[rows], "targets": self.targets[rows]}


@functools.lru_cache(maxsize=4)
def _prepare(table: Table, stamp: tuple[int, int] | None) -> _Prepared:
    """The whole table; `stamp` tells when its file was written."""
    columns = _columns(table)
    target = table.target or EMBEDDED[table.name]
    classes, labels = np.unique(columns[target].values, return_inverse=True)
    _check_target(table, target, columns[target].values, classes)
    encoded = _encode(table, {name: c for name, c in columns.items() if name != target})
    names, inputs = list(encoded), np.stack([*encoded.values()], 1)
    number = table.kind == "number"
    targets = columns[target].values if number else labels
    rows = _partition(table, len(inputs), None if number else labels)
    train = rows["train"]
    mean, std = inputs[train].mean(0), inputs[train].std(0)
    for k, name in enumerate(names):
        if name not in columns or std[k] == 0:  # one-hot, or constant
            mean[k], std[k] = 0, 1
    mean, std = _given(table, "mean", mean), _given(table, "std", std)
    digest = hashlib.blake2b(repr((names, classes.tolist())).encode(), digest_size=16)
    digest.update(inputs.tobytes() + targets.tobytes())
    metadata = {
        "num_classes": len(classes) if table.kind == "classes" else 1,
        "digest": digest.hexdigest(),
        "train_examples": len(train),
        "sizes": {split: len(rows[split]) for split in ("train", *table.splits())},
        "columns": names,
        "mean": mean.tolist(),
        "std": std.tolist(),
        "target": target,
    }
    if number:
        centre = targets[train].mean() if table.target_mean is None else table.target_mean
        scale = (targets[train].std() or 1) if table.target_std is None else table.target_std
        metadata |= {"target_mean": float(centre), "target_std": float(scale)}
        targets = ((targets - centre) / scale).astype(np.float32)[:, None]
    else:
        metadata["class_names"] = [str(name) for name in classes]
        targets = targets.astype(np.int32)
    return _Prepared(((inputs - mean) / std).astype(np.float32), targets, rows, metadata)


def _columns(table: Table) -> dict[str, Column]:
    """The columns that are used.

    Raises:
        UserError: a column that a field names is not there, or values are missing or not finite.
    """
    columns = table_files.read(table.name, table.path)
    target = () if table.target is None else (table.target,)
    named = {"target": target, "exclude": table.exclude, "categorical": table.categorical}
    for field, names in named.items():
        if unknown := [name for name in names if name not in columns]:
            raise UserError(
                f"must be of the columns of {table.source}: {', '.join(columns)}; "
                f"got {', '.join(unknown)}.",
                field,
            )
    columns = {name: c for name, c in columns.items() if name not in table.exclude}
    if target and target[0] not in columns:
        raise UserError(f"must not name the target, {target[0]}.", "exclude")
    lacking = {name: c.missing for name, c in columns.items() if c.missing}
    if lacking:
        count = ", ".join(f"{n} in {name}" for name, n in lacking.items())
        raise UserError(
            f"{table.source} has {sum(lacking.values())} missing values ({count}): fill them, "
            "leave out those rows, or the columns by --data.exclude."
        )
    for name, (values, _) in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            count = np.sum(~np.isfinite(values))
            raise UserError(f"{table.source} has {count} values that are not finite in {name}.")
    if len(columns) < 2:
        raise UserError(f"{table.source} has no column but the target.")
    return columns


def _check_target(table: Table, name: str, values: np.ndarray, classes: np.ndarray) -> None:
    if table.kind == "number":
        if values.dtype.kind != "f":
            raise UserError(f"must be a column of numbers, and {name} has texts.", "target")
    elif len(classes) < 2 or (table.kind == "binary" and len(classes) > 2):
        valid = "two classes" if table.kind == "binary" else "several classes"
        raise UserError(f"={table.kind} needs {valid}, and {name} has {len(classes)}.", "kind")
    elif len(classes) > len(values) // 2:
        raise UserError(
            f"={table.kind}: the {len(values)} rows of {name} have {len(classes)} different "
            "values; kind=number takes them as a number.",
            "kind",
        )


def _encode(table: Table, columns: dict[str, Column]) -> dict[str, np.ndarray]:
    """The inputs by name: numbers, and a column "name=category" of zeros and ones for each text.

    Raises:
        UserError: a column has too many different texts.
    """
    inputs = {}
    for name, (values, _) in columns.items():
        if values.dtype.kind == "f" and name not in table.categorical:
            inputs[name] = values
            continue
        categories = np.unique(values)
        if len(categories) > _CATEGORIES:
            raise UserError(
                f"{table.source} has {len(categories)} different texts in {name}, more than "
                f"{_CATEGORIES}: leave it out by --data.exclude."
            )
        inputs |= {f"{name}={c}": (values == c).astype(float) for c in categories}
    return inputs


def _partition(table: Table, n: int, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """The rows of each split, by scikit-learn, stratified by class.

    Raises:
        UserError: there are too few rows, all in all or of a class.
    """
    from sklearn.model_selection import train_test_split

    rows, train = {}, np.arange(n)
    for split, share in (("test", table.test), ("validation", table.validation)):
        if share:
            stratify = None if labels is None else labels[train]
            try:
                train, rows[split] = train_test_split(
                    train, test_size=round(share * n), random_state=_SPLIT_SEED, stratify=stratify
                )
            except ValueError as error:
                raise UserError(f"{table.source} cannot be split: {error}") from error
    return rows | {"train": train}


def _given(table: Table, field: str, own: np.ndarray) -> np.ndarray:
    """The value of the field, or where it is None `own`, a number for each input."""
    value = getattr(table, field)
    if value is not None and len(value) != len(own):
        raise UserError(
            f"must be {len(own)} numbers, one for each input of {table.source}, got {len(value)}.",
            field,
        )
    return own if value is None else np.array(value, float)
