"""Pages that open without a server: report.html of one run, seeds.html of several."""

import base64
import html
import json
import os
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, NamedTuple

from nets.report import line_plot, metrics_log

EVALUATED = ("train_eval", "validation", "test")
"""Splits that a result may have."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
td { border-top: 1px solid #ddd; padding: .15rem .8rem .15rem 0; vertical-align: top }
img { max-width: 100% }
summary { cursor: pointer }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto }
.number { text-align: right; font-variant-numeric: tabular-nums }
"""


def write(
    workdir: Path,
    record: dict[str, Any],
    result: dict[str, Any],
    history: list[dict[str, Any]],
    finished: str,
) -> None:
    """Writes the page from what the run has left in its work directory.

    Args:
        record: what config.json holds.
        result: what result.json holds.
        history: the rows of metrics.jsonl.
        finished: date and time at which the run ended.
    """
    title = html.escape(f"{record['experiment']}: step {result['step']}")
    results = {name: f"{value:.6g}" for name, value in metrics(result).items()}
    if result["best_step"] is not None:
        results["best step"] = f"{result['best_step']} of {result['step']}"
    run = {
        "started": record["started"],
        "finished": finished,
        "trained for": f"{result['elapsed_s']:.1f} s",
        "throughput": _throughput(history),
        "parameters": f"{result['parameters']:,}",
        "git commit": _commit(**record["git"]),
    }
    config, changes = record["config"], record["arguments"]
    metadata = {k: v for k, v in record["metadata"].items() if len(str(v)) < 300}
    sections = [
        f"<pre>{html.escape(record['command'])}</pre>{_table(results)}",
        f"<h2>Run</h2>{_table(run)}",
        *_pictures(workdir / "pictures"),
        "<h2>Configuration</h2>",
        _table(dict(change.removeprefix("--").split("=", 1) for change in changes))
        if changes
        else "<p>All fields have the values of the experiment's file.</p>",
        f"<details><summary>All {len(config)} fields</summary>{_table(config)}</details>",
        *_code_changes(record["code_changes"]),
        f"<h2>Data</h2>{_table(metadata)}",
        f"<h2>Environment</h2>{_table(record['environment'])}",
    ]
    (workdir / "report.html").write_text(whole(title, sections))


def _code_changes(changes: list[str]) -> list[str]:
    items = "".join(f"<li>{html.escape(change)}" for change in changes)
    return [f"<h2>Code that was edited during the run</h2><ul>{items}</ul>"] if changes else []


def write_seeds(folder: Path, experiment: str, runs: list[dict[str, Any]]) -> None:
    """Writes what several seeds came to: seeds.json, and with their curves seeds.html.

    Args:
        runs: of each seed its result, with "seed" and "workdir".
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = over_seeds(runs)
    spread = {name: spread._asdict() for name, spread in summary.items()}
    table = {"experiment": experiment, "runs": runs, "summary": spread}
    (folder / "seeds.json").write_text(json.dumps(table, indent=1) + "\n")
    histories = [metrics_log.read(Path(run["workdir"]) / "metrics.jsonl") for run in runs]
    line_plot.learning_curves(histories, folder / "seeds.png")
    links = [os.path.relpath(Path(run["workdir"]) / "report.html", folder) for run in runs]
    title = html.escape(f"{experiment}: seeds {', '.join(str(run['seed']) for run in runs)}")
    sections = [_seeds(runs, summary, links), image("Learning curves", folder / "seeds.png")]
    (folder / "seeds.html").write_text(whole(title, sections))


class Spread(NamedTuple):
    """The mean over seeds, their standard deviation (0 of one seed) and number."""

    mean: float
    standard_deviation: float
    seeds: int

    def __str__(self) -> str:
        spread = f" ± {self.standard_deviation:.2g}" if self.standard_deviation else ""
        return f"{self.mean:.4g}{spread}"


def spreads(rows: list[dict[str, float]]) -> dict[str, Spread]:
    """The spread of each number over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {
        name: Spread(mean(v), stdev(v) if len(v) > 1 else 0.0, len(v)) for name, v in values.items()
    }


def over_seeds(results: list[dict[str, Any]]) -> dict[str, Spread]:
    """The spread of each metric of several seeds.

    Left out is what fewer than two have: one may lack a metric (in_span, where nothing was right).
    """
    each = spreads([metrics(result) for result in results])
    return {name: spread for name, spread in each.items() if spread.seeds > 1}


def metrics(result: dict[str, Any]) -> dict[str, float]:
    """The metrics of a result under "split name"."""
    return {
        f"{split} {name}": value
        for split in EVALUATED
        for name, value in result.get(split, {}).items()
    }


def _seeds(runs: list[dict[str, Any]], summary: dict, links: list[str]) -> str:
    """One line per seed, then the mean and the standard deviation."""
    names = dict.fromkeys(name for run in runs for name in metrics(run))
    lines = [["seed", *names]]
    for run, link in zip(runs, links, strict=True):
        values = metrics(run)
        first = f'<a href="{html.escape(link)}">{run["seed"]}</a>'
        lines.append([first, *(f"{values[n]:.6g}" if n in values else "" for n in names)])
    for key in ("mean", "standard_deviation"):
        values = [f"{getattr(summary[n], key):.4g}" if n in summary else "" for n in names]
        lines.append([f"<b>{key.replace('_', ' ')}</b>", *values])
    cells = ("".join(f'<td class="number">{cell}' for cell in line) for line in lines)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _throughput(history: list[dict[str, Any]]) -> str:
    """The median, which a first line slowed by a start does not change."""
    rates = [row["examples_per_s"] for row in history if row["split"] == "train"]
    return f"{median(rates):,.0f} examples/s" if rates else "unknown"


def _commit(commit: str | None, dirty: bool | None) -> str:
    if commit is None:
        return "unknown"
    changed = {True: ", with uncommitted changes", False: "", None: ", changes to it unknown"}
    return commit + changed[dirty]


def whole(title: str, sections: list[str]) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(sections)}</html>"
    )


def _pictures(folder: Path) -> list[str]:
    """The curves first, then pictures, sounds and texts by name; coloured text as text."""
    sections = []
    for path in sorted(folder.iterdir(), key=lambda p: (p.stem != "curves", p.name)):
        name = html.escape(path.stem.replace("_", " ").capitalize())
        if path.suffix == ".txt":
            sections.append(f"<h2>{name}</h2><pre>{html.escape(path.read_text())}</pre>")
        elif path.suffix == ".html":
            sections.append(f"<h2>{name}</h2>{path.read_text()}")
        elif path.suffix == ".png" and not path.with_suffix(".html").exists():
            sections.append(image(name, path))
        elif path.suffix == ".wav":
            sections.append(_audio(name, path))
    return sections


def image(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<h2>{name}</h2><img alt="{name}" src="data:image/png;base64,{data}">'


def _audio(name: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<h2>{name}</h2><audio controls src="data:audio/wav;base64,{data}"></audio>'


def _table(rows: dict[str, Any]) -> str:
    cells = (
        f'<tr><td>{html.escape(str(k))}<td class="number">{html.escape(str(v))}</tr>'
        for k, v in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"
