"""report.html: one page that holds a whole run and opens without a server."""

import base64
import html
from pathlib import Path
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse }
td { border-top: 1px solid #ddd; padding: .15rem .8rem .15rem 0; vertical-align: top }
img { max-width: 100% }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto }
.number { text-align: right; font-variant-numeric: tabular-nums }
"""


def write(workdir: Path, record: dict[str, Any], result: dict[str, Any]) -> None:
    """Writes the page from the run's record (config.json), its result and its pictures."""
    title = html.escape(f"{record['experiment']}: step {result['step']}")
    results = {
        f"{split} {name}": f"{value:.6g}"
        for split in ("validation", "test")
        for name, value in result.get(split, {}).items()
    }
    results["best step"] = f"{result['best_step']} of {result['step']}"
    results["trained for"] = f"{result['elapsed_s']:.1f} s"
    sections = [_table(results), *_pictures(workdir / "pictures")]
    if record["code_changes"]:
        items = "".join(f"<li>{html.escape(change)}" for change in record["code_changes"])
        sections.append(f"<h2>Code that was edited during the run</h2><ul>{items}</ul>")
    facts = {k: v for k, v in record["facts"].items() if len(str(v)) < 300}
    for heading, rows in (
        ("Configuration", record["config"]), ("Data", facts), ("Environment", record["environment"])
    ):  # fmt: skip
        sections.append(f"<h2>{heading}</h2>{_table(rows)}")
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(sections)}</html>"
    )
    (workdir / "report.html").write_text(page)


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
