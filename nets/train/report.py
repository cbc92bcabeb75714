"""report.html: one page that holds a whole run and opens without a server."""

import base64
import html
import statistics
from pathlib import Path
from typing import Any

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
    results = {
        f"{split} {name}": f"{value:.6g}"
        for split in ("validation", "test")
        for name, value in result.get(split, {}).items()
    }
    if result["best_step"] is not None:
        results["best step"] = f"{result['best_step']} of {result['step']}"
    run = {
        "started": record["started"].replace("T", " "),
        "finished": finished.replace("T", " "),
        "trained for": f"{result['elapsed_s']:.1f} s",
        "throughput": _throughput(history),
        "parameters": f"{record['parameters']:,}",
        "git commit": _commit(**record["git"]),
    }
    config, changes = record["config"], record["arguments"]
    facts = {k: v for k, v in record["facts"].items() if len(str(v)) < 300}
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
        f"<h2>Data</h2>{_table(facts)}",
        f"<h2>Environment</h2>{_table(record['environment'])}",
    ]
    (workdir / "report.html").write_text(_page(title, sections))


def _code_changes(changes: list[str]) -> list[str]:
    items = "".join(f"<li>{html.escape(change)}" for change in changes)
    return [f"<h2>Code that was edited during the run</h2><ul>{items}</ul>"] if changes else []


def _throughput(history: list[dict[str, Any]]) -> str:
    """The median, which a first line slowed by a start does not change."""
    rates = [row["examples_per_s"] for row in history if row["split"] == "train"]
    return f"{statistics.median(rates):,.0f} examples/s" if rates else "unknown"


def _commit(commit: str | None, dirty: bool | None) -> str:
    if commit is None:
        return "unknown"
    changed = {True: ", with uncommitted changes", False: "", None: ", changes to it unknown"}
    return commit + changed[dirty]


def _page(title: str, sections: list[str]) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(sections)}</html>"
    )


def _pictures(folder: Path) -> list[str]:
    """The curves first, then pictures and texts by name; coloured text as text, not as image."""
    found = []
    for path in sorted(folder.iterdir(), key=lambda p: (p.stem != "curves", p.name)):
        name = html.escape(path.stem.replace("_", " ").capitalize())
        if path.suffix == ".txt":
            found.append(f"<h2>{name}</h2><pre>{html.escape(path.read_text())}</pre>")
        elif path.suffix == ".html":
            found.append(f"<h2>{name}</h2>{path.read_text()}")
        elif path.suffix == ".png" and not path.with_suffix(".html").exists():
            data = base64.b64encode(path.read_bytes()).decode()
            found.append(f'<h2>{name}</h2><img alt="{name}" src="data:image/png;base64,{data}">')
    return found


def _table(rows: dict[str, Any]) -> str:
    cells = (
        f'<tr><td>{html.escape(str(k))}<td class="number">{html.escape(str(v))}</tr>'
        for k, v in rows.items()
    )
    return f"<table>{''.join(cells)}</table>"
