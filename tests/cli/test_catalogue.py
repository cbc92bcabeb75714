"""The list of experiments: words that filter it, a line for each, and what each needs."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from nets.cli import catalogue
from nets.errors import UserError
from tests.support.launching import ROOT, main

FOLDER = ROOT / "experiments"
NEEDS = {"skimage": "hog", "sentencepiece": "translate"}  # imported by data
SETTINGS = {"TagWords(chunks=True)": "tagging"}  # of a task, which then scores by a library
OPTIONAL = {"pandas": "tables", "mido": "music"}  # likewise, for files of the user's own alone


def test_a_line_for_each_experiment_that_has_every_word(tmp_path):
    files = {"a_cat": "A cat on a mat.", "a_dog": "A DOG on a mat.", "cat_dog": "Both."}
    for name, summary in files.items():
        (tmp_path / f"{name}.py").write_text(f'"""{summary}\n\nMeasured: 1 in 2 s.\n"""\n')
    everything = catalogue.render([], tmp_path).splitlines()
    assert [line.split()[0] for line in everything] == ["a_cat", "a_dog", "cat_dog"]
    assert [line.split()[0] for line in catalogue.render(["dog"], tmp_path).splitlines()] == [
        "a_dog", "cat_dog"
    ]  # fmt: skip
    assert catalogue.render(["dog", "mat"], tmp_path) == "a_dog  A DOG on a mat."
    assert "measured: 1 in 2 s." in catalogue.render(["both", "--long"], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zebra"], "no experiment has zebra"),
        (["--lnog"], "list takes words, --long and --format=markdown, got"),
    ],
)
def test_what_finds_nothing_is_told(arguments, message, capsys):
    assert main("list", *arguments) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(UserError, match=message):
        catalogue.render(arguments, FOLDER)


def test_the_page_of_experiments_is_what_is_listed():
    page = catalogue.render(["--format=markdown"], FOLDER) + "\n"
    assert (FOLDER / "README.md").read_text() == page
    names = [path.stem for path in sorted(FOLDER.glob("*/*.py"))]
    assert re.findall(r"^\| `(\w+)`", page, re.MULTILINE) == names
    assert re.findall(r"^## (\w+)", page, re.MULTILINE) == sorted(
        path.name.capitalize() for path in FOLDER.iterdir() if list(path.glob("*.py"))
    )


def test_an_experiment_is_found_in_any_subfolder_by_its_one_name(tmp_path):
    (tmp_path / "cats").mkdir()
    for name in ("a.py", "cats/b.py"):
        (tmp_path / name).write_text('"""Nothing."""')
    assert catalogue.find("b", tmp_path) == tmp_path / "cats" / "b.py"
    assert catalogue.render(["cats"], tmp_path) == "b  Nothing."
    (tmp_path / "cats" / "a.py").touch()
    with pytest.raises(UserError, match=r"two experiments have one name: .*a\.py and .*a\.py"):
        catalogue.find("b", tmp_path)


def test_an_experiment_says_which_extra_it_needs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {*NEEDS.values(), *OPTIONAL.values()} <= extras.keys()
    for entry in catalogue.listing(FOLDER):
        path = FOLDER / entry.kind / f"{entry.name}.py"
        needed = {NEEDS[module] for module in _data_imports(path) if module in NEEDS}
        needed |= {extra for setting, extra in SETTINGS.items() if setting in path.read_text()}
        assert needed == ({entry.extra} - {None}), entry.name
        assert entry.extra is None or entry.extra in extras


def _data_imports(path: Path) -> set[str]:
    """The packages and names that an experiment's data and recipes import, at any depth."""
    found, pending, seen = set(), [path], set()
    while pending:
        for node in ast.walk(ast.parse(pending.pop().read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
            for name in {*names} - seen:
                seen.add(name)
                found |= {name, name.partition(".")[0]}
                file = ROOT / (name.replace(".", "/") + ".py")
                if name.startswith(("nets.data.", "nets.recipes.")) and file.is_file():
                    pending.append(file)
    return found
