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
TASK |= {"sacrebleu"}  # inside a function alone
DATA = {"numpy", "grain", "tensorflow_datasets", "sklearn", "PIL", "nets.data", "nets.errors"}
DATA |= {"skimage", "sentencepiece"}  # inside a function alone
INSPECT = MODEL | {"optax", "nets.inspect", "nets.tasks"}
ENGINE = TASK | DATA | REPORT | {"orbax", "nets.train"}
FOREIGN = {"torch", "safetensors"}  # inside a function alone
# room -> what it may import beside Python's own library; families may build on families
RULE = {
    "nets": MODEL | {"nets.<family>"},
    "nets/layers": MODEL,
    "nets/report": REPORT,
    "nets/tasks": TASK | {"nets.<family>"},
    "nets/data": DATA,
    "nets/inspect": INSPECT,
    "nets/train": ENGINE,
    "nets/cli": ENGINE | INSPECT | {"absl", "nets.cli"},
    "nets/demos": TASK | DATA | {"nets.<family>", "nets.demos"},
    "nets/interop": {"numpy", "nets.<family>", "nets.layers", "nets.interop", "nets.errors"}
    | FOREIGN,
    "experiments": {"jax", "flax", "nets.<family>"}
    | {f"nets.{room}" for room in ("data", "tasks", "train", "demos")},
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


def allowed(module, rule):
    top = module.split(".")[0]
    if top in sys.stdlib_module_names:
        return True
    if top != "nets":
        return top in rule
    room = ".".join(module.split(".")[:2])
    return room in rule or ("nets.<family>" in rule and room.split(".")[1] in FAMILIES)


@pytest.mark.parametrize("room", RULE)
def test_every_room_imports_what_it_may(room):
    files = sorted((ROOT / room).glob("*.py"))
    assert files
    broken = [f"{p}: {m}" for p in files for m in imports(p) if not allowed(m, RULE[room])]
    assert broken == []


def test_interop_imports_other_frameworks_only_where_it_needs_them():
    files = sorted((ROOT / "nets/interop").glob("*.py"))
    assert FOREIGN == FOREIGN & {m.split(".")[0] for p in files for m in imports(p)}
    at_once = {m for p in files for m in imports(p, ast.iter_child_nodes)}
    assert at_once and not any(m.split(".")[0] in FOREIGN for m in at_once)


def test_the_rule_is_one_that_can_be_broken():
    assert not allowed("optax", RULE["nets"]) and not allowed("nets.train.loop", RULE["nets/tasks"])
    assert not allowed("nets.train.loop", RULE["nets/inspect"])
    assert not allowed("nets.tasks.task", RULE["nets/report"])
    assert not allowed("nets.cli.flags", RULE["nets/train"])
    assert not allowed("jax", RULE["nets/data"]) and not allowed("jax", RULE["nets/interop"])


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


def blocks():
    """The README's complete Python examples: those that import something."""
    found = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [block for block in found if "import " in block and "def experiment" not in block]


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


@pytest.mark.parametrize("number", [0, 1])
def test_the_readmes_examples_run_and_learn(number, tmp_path):
    losses = run_example(number, tmp_path)
    assert losses[-1] < 0.7 * losses[0]


def test_the_readmes_stream_equals_the_whole(tmp_path):
    (difference,) = run_example(2, tmp_path)
    assert difference < 1e-6


def test_there_are_three_examples():
    assert len(blocks()) == 3


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
