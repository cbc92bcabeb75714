"""Tables against scikit-learn's arrays and hand-written files; splits, statistics, mistakes."""

import sys

import numpy as np
import pytest
from sklearn import datasets

from nets.cli.resolve import as_trained
from nets.data.tables import Table
from nets.errors import UserError

CSV = """age,city,smoker,income,bought
20,Rome,True,10,yes
30,Oslo,False,20,no
40,Rome,False,30,yes
50,Bonn,True,40,no
60,Oslo,True,50,yes
70,Oslo,False,60,no
"""


@pytest.fixture
def csv(tmp_path):
    def write(text=CSV):
        (tmp_path / "mine.csv").write_text(text)
        return str(tmp_path / "mine.csv")

    return write


def rows(data, split):
    """Inputs and targets of a whole split, those that only fill up left out."""
    batches = [*data.evaluate(split)]
    real = [batch["mask"] > 0 for batch in batches]
    return [
        np.concatenate([b[k][r] for b, r in zip(batches, real, strict=True)])
        for k in ("inputs", "targets")
    ]


@pytest.mark.parametrize(
    ("name", "kind", "sizes"),
    [
        ("breast_cancer", "binary", (398, 57, 114)),
        ("wine", "classes", (124, 18, 36)),
        ("iris", "classes", (105, 15, 30)),
        ("diabetes", "number", (310, 44, 88)),
    ],
)
def test_the_tables_of_scikit_learn(name, kind, sizes):
    data = Table(name=name, kind=kind, eval_batch_size=50)
    metadata, splits = data.metadata(), ("train", "validation", "test")
    assert tuple(metadata["sizes"].values()) == sizes and metadata["train_examples"] == sizes[0]
    options = {"scaled": False} if name == "diabetes" else {}
    table = getattr(datasets, f"load_{name}")(**options)
    parts = [rows(data, split) for split in splits]
    inputs, targets = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    given = (table.data - metadata["mean"]) / metadata["std"]
    if kind == "number":
        right = (table.target - metadata["target_mean"]) / metadata["target_std"]
        targets = targets[:, 0]
    else:  # in sorted order: malignant, scikit-learn's 0, is 1
        assert metadata["class_names"] == sorted(table.target_names)
        right = np.array(
            [sorted(table.target_names).index(table.target_names[k]) for k in table.target]
        )
    pairs = ((inputs, targets), (given, right))
    found, expected = (sorted(np.column_stack(p).astype(np.float32).tolist()) for p in pairs)
    assert found == expected
    np.testing.assert_allclose(parts[0][0].mean(0), 0, atol=1e-5)  # of the training rows alone
    np.testing.assert_allclose(parts[0][0].std(0), 1, rtol=1e-4)
    assert abs(parts[2][0].mean(0)).max() > 0.02
    if kind != "number":  # each split has the classes in equal shares
        shares = [np.bincount(part[1]) / len(part[1]) for part in parts]
        np.testing.assert_allclose(shares, shares[:1] * 3, atol=0.05)
    assert metadata["num_classes"] == {"binary": 1, "number": 1, "classes": 3}[kind]


def test_batches_are_as_the_spec_says_and_an_epoch_is_every_row_once():
    data = Table(name="wine", batch_size=31)  # 4 x 31 = 124
    batches = data.train(3)
    assert {k: (v.shape, v.dtype) for k, v in batches[7].items()} == data.spec().arrays
    epoch = np.concatenate([batches[i]["inputs"] for i in range(4, 8)])
    assert sorted(epoch.tolist()) == sorted(rows(data, "train")[0].tolist())
    np.testing.assert_array_equal(batches[5]["inputs"], data.train(3)[5]["inputs"])
    assert (batches[5]["inputs"] != data.train(4)[5]["inputs"]).any()


def test_a_csv_file_with_texts_and_booleans(csv):
    data = Table(path=csv(), target="bought", kind="binary", validation=0, test=0.34, batch_size=4)
    metadata = data.metadata()
    assert metadata["columns"] == [
        "age", "city=Bonn", "city=Oslo", "city=Rome", "smoker", "income"
    ]  # fmt: skip
    assert metadata["class_names"] == ["no", "yes"] and metadata["target"] == "bought"
    assert metadata["mean"][1:4] == [0, 0, 0] and metadata["std"][1:4] == [1, 1, 1]
    assert data.splits() == ("test",)
    found = {}
    for split in ("train", "test"):
        inputs, targets = rows(data, split)
        own = inputs * metadata["std"] + metadata["mean"]
        for row, target in zip(own.round(3).tolist(), targets.tolist(), strict=True):
            found[row[0]] = (row[1:], target)
    assert found[20] == ([0, 0, 1, 1, 10], 1)
    assert found[50] == ([1, 0, 0, 1, 40], 0)
    assert found[70] == ([0, 1, 0, 0, 60], 0) and len(found) == 6


def test_a_file_that_changes_is_read_again(csv):
    data = Table(path=csv(), target="income", kind="number", validation=0.2, batch_size=2)
    before = data.metadata()
    csv(CSV.replace("70,Oslo", "71,Oslo "))
    assert data.metadata()["digest"] != before["digest"]


def test_columns_may_be_left_out_and_numbers_be_categories(csv):
    data = Table(
        path=csv(), target="bought", exclude=("city", "income"), categorical=("smoker", "age"),
        validation=0.0, test=0.34,
    )  # fmt: skip
    ages = [f"age={a}.0" for a in (20, 30, 40, 50, 60, 70)]
    assert data.metadata()["columns"] == [*ages, "smoker=0.0", "smoker=1.0"]
    assert data.metadata()["num_classes"] == 2


def test_an_npz_file_of_columns(tmp_path):
    rng = np.random.default_rng(0)
    x, y, city = rng.normal(size=(40, 3)), rng.integers(0, 3, 40), np.array(["a", "b"] * 20)
    np.savez(tmp_path / "mine.npz", x=x, city=city, y=y)
    data = Table(path=str(tmp_path / "mine.npz"), target="y", batch_size=8)
    metadata = data.metadata()
    assert metadata["columns"] == ["x_0", "x_1", "x_2", "city=a", "city=b"]
    assert metadata["class_names"] == ["0.0", "1.0", "2.0"]
    inputs, targets = rows(data, "test")
    own = (inputs * metadata["std"] + metadata["mean"])[:, :3]
    for row, target in zip(own, targets, strict=True):
        assert y[np.abs(x - row).sum(1).argmin()] == target


def test_another_table_is_standardised_as_the_run_was(csv):
    data = Table(path=csv(), target="income", kind="number", exclude=("city", "bought"))
    metadata = {"mean": [1.0, 2.0], "std": [3.0, 4.0], "target_mean": 5.0, "target_std": 6.0}
    trained = as_trained(data, metadata)
    inputs, targets = rows(trained, "test")
    age, smoker, income = inputs[0, 0] * 3 + 1, inputs[0, 1] * 4 + 2, targets[0, 0] * 6 + 5
    assert income == pytest.approx(age - 10, abs=1e-3) and smoker == pytest.approx(
        {20: 1, 30: 0, 40: 0, 50: 1, 60: 1, 70: 0}[round(age)], abs=1e-5
    )
    assert trained.metadata()["target_std"] == 6


def test_missing_values_are_refused_with_their_count(csv):
    path = csv(CSV.replace("30,Oslo", ",Oslo").replace("50,Bonn", ",").replace("60,Oslo", "60,"))
    message = r"has 4 missing values \(2 in age, 2 in city\)"
    with pytest.raises(UserError, match=message):
        Table(path=path, target="bought").metadata()
    data = Table(path=path, target="bought", exclude=("age", "city"), validation=0, test=0.34)
    assert data.metadata()["columns"] == ["smoker", "income"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"target": None}, "target must be given with path: the name of the column"),
        ({"target": "price"}, "target must be of the columns of .*: age, city, .*; got price"),
        ({"exclude": ("zip",)}, "exclude must be of the columns of .*; got zip"),
        ({"exclude": ("bought",)}, "exclude must not name the target, bought"),
        ({"target": "city", "kind": "binary"}, "kind=binary needs two classes, and city has 3"),
        ({"target": "city", "kind": "number"}, "target must be a column of numbers, and city has"),
        ({"target": "income"}, "kind=classes: the 6 rows of income have 6 different values"),
        ({"target": "city"}, "cannot be split: The least populated class"),
        ({"exclude": ("age", "city", "smoker", "income")}, "has no column but the target"),
        ({"mean": (1.0, 2.0)}, "mean must be 6 numbers, one for each input of .*, got 2"),
        ({"test": 1.0}, "test must be at least 0 and below 1, got 1.0"),
        ({"batch_size": 9}, "batch_size must be at most .*, the training rows of .*, got 9"),
        ({"path": "none.csv"}, "path=none.csv is no file"),
        ({"path": __file__}, "path=.*py must be a .csv or an .npz file"),
        ({"name": "titanic"}, "name must be one of breast_cancer, diabetes, iris, wine, got"),
    ],
)
def test_what_cannot_be_is_refused(fields, message, csv):
    shares = {"validation": 0.0, "test": 0.34}
    with pytest.raises(UserError, match=message):
        Table(**{"path": csv(), "target": "bought"} | shares | fields).train(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read: No columns to parse"),
        ("a,b\n1,2\n3,4,5,6\n", "cannot be read: Error tokenizing data"),
        ("a,b\n", "must have columns of one length, above 0; it has a 0, b 0"),
        ("a,b\ninf,x\n1,y\n1,x\n1,y\n", "has 1 values that are not finite in a"),
        ("a,b\n" + "\n".join(f"t{k},{k % 2}" for k in range(101)), "has 101 different texts in a"),
    ],
)
def test_a_csv_file_that_is_none_is_refused(text, message, csv):
    with pytest.raises(UserError, match=message):
        Table(path=csv(text), target="b").metadata()


def test_a_csv_file_names_the_extra_that_reads_it(csv, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"a CSV file needs pandas: run `pip install -e '.\[tables"):
        Table(path=csv(), target="bought").metadata()


def test_an_npz_file_that_is_none_is_refused(tmp_path):
    path = str(tmp_path / "mine.npz")
    np.savez(path, x=np.zeros((4, 2)), y=np.zeros(3))
    with pytest.raises(UserError, match="columns of one length, above 0; it has x_0 4, x_1 4, y 3"):
        Table(path=path, target="y").metadata()
    np.savez(path, x=np.zeros((4, 2, 2)), y=np.zeros(4))
    with pytest.raises(UserError, match=r"arrays \[N\] and \[N, K\]; x is \[4, 2, 2\]"):
        Table(path=path, target="y").metadata()
    (tmp_path / "mine.npz").write_text("no archive")
    with pytest.raises(UserError, match="mine.npz cannot be read"):
        Table(path=path, target="y").metadata()
