"""The text of --help: the flags that people change first, then the rest by part."""

import textwrap
from typing import Any

from nets.cli import config, flags

_FIRST = ("steps", "epochs", "data.batch_size", "optimizer.learning_rate", "workdir", "seed")
_WIDTH = 100


def render(options: Any, experiment: Any | None = None) -> str:
    """The usage, and the flags of the command and, where one is given, of the experiment."""
    parts = [_USAGE]
    fields = {field.path: field for field in flags.flagged(experiment)} if experiment else {}
    command_fields = {field.path: field for field in flags.flagged(options)}
    every_field = fields | command_fields
    first = [every_field[path] for path in _FIRST if path in every_field] if fields else []
    if first:
        parts.append(_section("changed most often", first))
    rest = [f for f in fields.values() if f not in first and f.path not in command_fields]
    parts_of_it = dict.fromkeys(path.partition(".")[0] for path in fields if "." in path)
    for part in (part for part in parts_of_it if part not in fields):
        chosen = [field for field in rest if field.path.startswith(f"{part}.")]
        kind = type(getattr(experiment, part)).__name__
        parts.append(_section(f"{part}: {kind}", chosen))
        rest = [field for field in rest if field not in chosen]
    if rest:
        parts.append(_section("the run", rest))
    parts.append(_section("the command", [f for f in command_fields.values() if f not in first]))
    return "\n\n".join(parts)


_USAGE = """usage: python launch.py [COMMAND] --experiment=NAME [--FLAG=VALUE ...]

  list [WORD ...] [--long]  the experiments, those that a word finds, with details
  train                     trains it, or resumes; the command if none is given
  compare                   trains the variants that its file defines; a table of all
  show                      its layers, parameters, arithmetic and memory; trains nothing
  eval                      evaluates a run
  sample                    generates from a run
  predict                   what a run says of files or sentences of your own, as pictures and JSON
  verify-resume             trains twice, once killed in the middle, and compares every bit

  python launch.py [COMMAND] --experiment=NAME --help lists the flags of both"""


def _section(title: str, fields: list[config.Field]) -> str:
    return "\n".join([f"{title}:", *map(_line, fields)])


def _line(field: config.Field) -> str:
    head = f"  --{field.path}={flags.type_name(field.hint)}"
    text = f"{field.help} (default: {config.to_text(field.value) or 'empty'})"
    indent = " " * 6
    return (
        head
        + "\n"
        + textwrap.fill(
            text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
    )
