"""The dependency rule, what an import loads, and the README's examples."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import nets

ROOT = Path(__file__).parent.parent
MODEL = {"jax", "flax", "numpy", "nets.layers", "nets.types"}
REPORT = {"numpy", "matplotlib", "tensorboardX", "rich", "PIL", "nets.report"}
TASK = MODEL | {"optax", "nets.tasks", "nets.report", "nets.errors"}
# libraries that are imported inside a function alone
TASK |= {"mido", "pycocotools", "pystoi", "sacrebleu", "seqeval", "skimage", "sklearn"}
DATA = {"numpy", "tensorflow_datasets", "sklearn", "PIL", "nets.data", "nets.errors"}
DATA |= {"mido", "pandas", "scipy", "skimage", "sentencepiece"}
INSPECT = MODEL | {"optax", "nets.inspect", "nets.tasks"}
OPTIM = {"jax", "flax", "optax", "nets.optim", "nets.errors", "nets.types"}
ENGINE = TASK | DATA | REPORT | OPTIM | {"orbax", "nets.train"}
FOREIGN = {"torch", "safetensors"}  # inside a function alone
# folder -> what it may import beside Python's own library; families may build on families
RULE = {
    "nets": MODEL | {"nets.<family>"},
    "nets/layers": MODEL,
    "nets/report": REPORT,
    "nets/tasks": TASK | {"nets.<family>"},
    "nets/data": DATA,
    "nets/inspect": INSPECT,
    "nets/optim": OPTIM,
    "nets/train": ENGINE,
    "nets/recipes": TASK | DATA | OPTIM | {"nets.train", "nets.recipes"},
    "nets/cli": ENGINE | INSPECT | {"absl", "nets.cli"},
    "nets/demos": TASK | DATA | {"nets.<family>", "nets.demos"},
    "nets/interop": {"numpy", "flax", "nets.<family>", "nets.layers", "nets.interop", "nets.errors"}
    | FOREIGN,
    "experiments": {"jax", "flax", "nets.<family>", "nets.types"}
    | {f"nets.{room}" for room in ("data", "tasks", "optim", "train", "recipes", "demos")},
}
FAMILIES = {p.stem for p in (ROOT / "nets").glob("*.py")} - {"__init__", "errors", "types"}


def imports(path, walk=ast.walk):
    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "nets":
                yield from (f"nets.{alias.name}" for alias in node.names)
            else:
                yield node.module


def allowed(module, folder, rule):
    """Whether a file of this folder may import this module."""
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if top != "nets":
        return top in rule[folder]
    packages = (name.replace("/", ".") for name in rule)
    package = max((p for p in packages if f"{module}.".startswith(f"{p}.")), key=len)
    if package != "nets":  # one inside another is named for itself
        return package in rule[folder]
    module = ".".join(module.split(".")[:2])
    family = "nets.<family>" in rule[folder] and module.removeprefix("nets.") in FAMILIES
    return module in rule[folder] or family


def folders(root):
    """Those under `root` that hold Python files, by their path from it, with these files."""
    files = {}
    for top in ("nets", "experiments"):
        for path in sorted((root / top).rglob("*.py")):
            folder = top if top == "experiments" else path.parent.relative_to(root).as_posix()
            files.setdefault(folder, []).append(path)
    return files


def broken(root, rule):
    """Violations of the rule: imports that a folder may not have, folders without a rule."""
    found = []
    for folder, files in folders(root).items():
        if folder not in rule:  # one inside another inherits nothing
            found.append(f"{folder}: no rule")
            continue
        found += [
            f"{path.relative_to(root).as_posix()}: {module}"
            for path in files
            for module in imports(path)
            if not allowed(module, folder, rule)
        ]
    return found


def test_every_folder_imports_what_it_may():
    assert folders(ROOT).keys() == RULE.keys()
    assert broken(ROOT, RULE) == []


def test_what_breaks_the_rule_is_found(tmp_path):
    sources = {
        "nets/family.py": "import jax\nimport optax",
        "nets/layers/good.py": "import os\nfrom nets.layers import other",
        "nets/layers/late.py": "def f():\n    from nets.train import loop",
        "nets/layers/deep/inner.py": "import jax",
        "nets/layers/deep/empty/__init__.py": "",
        "nets/tasks/deep/inner.py": "import optax, torch",
        "nets/tasks/outer.py": "import nets.layers.pooling, nets\nimport nets.tasks.deep.inner",
        "nets/train/outer.py": "from nets.tasks.deep import inner",
        "experiments/sets/one.py": "import numpy",
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    rule = RULE | {"nets/tasks/deep": {"optax"}}
    rule["nets/train"] = rule["nets/train"] | {"nets.tasks.deep"}
    assert sorted(broken(tmp_path, rule)) == [
        "experiments/sets/one.py: numpy",
        "nets/family.py: optax",
        "nets/layers/deep/empty: no rule",
        "nets/layers/deep: no rule",
        "nets/layers/late.py: nets.train",
        "nets/tasks/deep/inner.py: torch",
        "nets/tasks/outer.py: nets",
        "nets/tasks/outer.py: nets.tasks.deep.inner",
    ]


@pytest.mark.parametrize(
    "text", ["from . import layers", "from .layers import cell", "from .. import nets"]
)
def test_relative_imports_are_found(text, tmp_path):
    (tmp_path / "file.py").write_text(text)
    with pytest.raises(AssertionError, match="file.py: a relative import"):
        list(imports(tmp_path / "file.py"))


def test_interop_imports_other_frameworks_only_where_it_needs_them():
    files = sorted((ROOT / "nets/interop").rglob("*.py"))
    assert FOREIGN == FOREIGN & {m.split(".")[0] for p in files for m in imports(p)}
    at_once = {m for p in files for m in imports(p, ast.iter_child_nodes)}
    assert at_once and not any(m.split(".")[0] in FOREIGN for m in at_once)


def test_the_rule_is_one_that_can_be_broken():
    for folder, module in (
        ("nets", "optax"),
        ("nets/tasks", "nets.train.loop"),
        ("nets/data", "jax"),
        ("nets/interop", "jax"),
        ("nets/layers", "nets.resnet"),
        ("nets/inspect", "nets.train.loop"),
        ("nets/report", "nets.tasks.task"),
        ("nets/train", "nets.cli.flags"),
    ):
        assert not allowed(module, folder, RULE)


_LOADED = """
import sys
import tomllib
import flax.linen
before = set(sys.modules)
import nets.{family}
print(*sorted(m for m in set(sys.modules) - before if not m.startswith("nets")))
"""


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_family_loads_nothing_that_linen_does_not(family, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _LOADED.format(family=family)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


PYTHON = r"```python\n(.*?)```"


def blocks():
    """The READMEs' complete Python examples: those that import something."""
    pages = (ROOT / name for name in ("README.md", "nets/README.md"))
    found = [b for page in pages for b in re.findall(PYTHON, page.read_text(), re.DOTALL)]
    needs = ("def experiment", "nets.cli")  # tested with the launcher, and with runs
    return [b for b in found if "import " in b and not any(part in b for part in needs)]


def run_example(number, folder):
    """The numbers that end the lines it prints."""
    code = blocks()[number]
    assert "nets.train" not in code  # nothing of the engine
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [float(line.split()[-1]) for line in done.stdout.splitlines()]


def test_the_front_pages_example_counts_as_it_says(tmp_path):
    (count,) = run_example(0, tmp_path)
    assert f"  # {count:.0f}\n" in blocks()[0]


@pytest.mark.parametrize("number", [1, 2])
def test_the_readmes_examples_run_and_learn(number, tmp_path):
    losses = run_example(number, tmp_path)
    assert losses[-1] < 0.7 * losses[0]


def test_the_readmes_stream_equals_the_whole(tmp_path):
    (difference,) = run_example(3, tmp_path)
    assert difference < 1e-6


def test_there_are_four_examples():
    assert len(blocks()) == 4


_BUILD = "import setuptools.build_meta as build; print(build.build_wheel('dist'))"


def test_the_wheel_has_the_version_and_is_typed(tmp_path):
    """Its version is the one that is imported, and py.typed tells type checkers of the hints."""
    release = pytest.importorskip("setuptools").__version__
    if int(release.split(".")[0]) < 77:
        pytest.skip(f"setuptools {release} cannot build it")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "nets", tmp_path / "nets", ignore=ignored)
    run = [sys.executable, "-W", "ignore", "-c", _BUILD]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "dist" / done.stdout.split()[-1]
    assert f"-{nets.__version__}-" in path.name
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    ours = {p.relative_to(tmp_path).as_posix() for p in (tmp_path / "nets").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == ours | {"nets/py.typed"}


def test_the_version_is_one_fact():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" not in project and project["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", nets.__version__)


def test_the_wheel_holds_every_room_of_nets_and_nothing_else():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {p.parent for p in (ROOT / "nets").rglob("__init__.py")}
    assert set(listed) == {".".join(room.relative_to(ROOT).parts) for room in rooms}


def test_every_picture_and_page_that_a_readme_names_is_there():
    pages = [page for page in ROOT.rglob("README.md") if "runs" not in page.parts]
    missing = [
        (page.relative_to(ROOT).as_posix(), link)
        for page in pages
        for link in re.findall(r'(?:src="|\]\()([^)"#]+)', page.read_text())
        if not link.startswith("http") and not (page.parent / link).exists()
    ]
    assert missing == [] and len(pages) >= 5
