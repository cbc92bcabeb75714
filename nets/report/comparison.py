"""The comparison of an experiment's variants: a table, compare.json, compare.png, compare.html."""

import dataclasses
import html
import itertools
import json
import os
import re
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

from nets.report import metrics_log, page
from nets.report.figures import COLOURS, LINES, Panel, Panels, set_title
from nets.report.line_plot import LinePlot
from nets.report.page import Spread

Runs = dict[str, list[dict[str, Any]]]
"""Of each variant, by name, the result of each seed, with "workdir"; of one that diverged with
"diverged" in the place of its metrics."""
MOST_CURVES = 12


def write(folder: Path, experiment: str, runs: Runs) -> str:
    """Writes compare.json, compare.png, curves.png and compare.html; the table as text."""
    folder.mkdir(parents=True, exist_ok=True)
    table = summary(runs)
    spreads = {v: {k: s._asdict() for k, s in row.items()} for v, row in table.items()}
    record = {"experiment": experiment, "runs": runs, "summary": spreads}
    (folder / "compare.json").write_text(json.dumps(record, indent=1) + "\n")
    title = f"{Path(experiment).stem}: {len(runs)} variants"
    charts(title, table).write(folder, "compare")
    sections = [_html_table(folder, runs, table), page.image("Results", folder / "compare.png")]
    if (curves := learning_curves(runs)) is not None:
        curves.write(folder, "curves")
        sections.append(page.image("Learning curves, mean over seeds", folder / "curves.png"))
    (folder / "compare.html").write_text(page.whole(html.escape(title), sections))
    return as_text(table)


def summary(runs: Runs) -> dict[str, dict[str, Spread]]:
    """Of each variant the spread over seeds of each metric, parameters, time and speed.

    A metric is named "split name". Runs that diverged are counted under "diverged", and not in the
    others.
    """
    table = {}
    for variant, rows in runs.items():
        finished = [_numbers(row) for row in rows if "diverged" not in row]
        table[variant] = page.spreads(finished)
        if diverged := len(rows) - len(finished):
            table[variant]["diverged"] = Spread(diverged, 0.0, 1)
    return table


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """The numbers of one result, under the names of the table."""
    history = metrics_log.read(Path(row["workdir"]) / "metrics.jsonl")
    speeds = [line["steps_per_s"] for line in history if line["split"] == "train"]
    speed = {"ms per step": 1000 / median(speeds)} if speeds else {}
    rest = {"parameters": row["parameters"], "steps": row["step"], "seconds": row["elapsed_s"]}
    zeros = {"zero weights": row["zero_weights"]} if "zero_weights" in row else {}
    return page.metrics(row) | zeros | rest | speed


def columns(table: dict[str, dict[str, Spread]]) -> list[str]:
    """The names of the table's columns, metrics first."""
    return list(dict.fromkeys(name for row in table.values() for name in row))


def as_text(table: dict[str, dict[str, Spread]]) -> str:
    """The table, a line per variant, for a terminal."""
    names = columns(table)
    lines = [["", *names]]
    lines += [[v, *(str(row[n]) if n in row else "" for n in names)] for v, row in table.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _html_table(folder: Path, runs: Runs, table: dict[str, dict[str, Spread]]) -> str:
    names = columns(table)
    lines = [["", *map(html.escape, names), "runs"]]
    for variant, row in table.items():
        cells = [f'<td class="number">{row[name] if name in row else ""}' for name in names]
        links = (
            (os.path.relpath(Path(run["workdir"]) / "report.html", folder), run["seed"])
            for run in runs[variant]
        )
        seeds = " ".join(f'<a href="{html.escape(link)}">{seed}</a>' for link, seed in links)
        lines.append([f"<td>{html.escape(variant)}", *cells, f"<td>{seeds}"])
    head = "".join(f"<th>{name}" for name in lines[0])
    body = "".join(f"<tr>{''.join(line)}</tr>" for line in lines[1:])
    return f"<table><tr>{head}</tr>{body}</table>"


@dataclasses.dataclass(frozen=True, eq=False)
class Points(Panel):
    """A point for each name [N], its mean and standard deviation along the horizontal axis."""

    names: tuple[str, ...]
    means: np.ndarray
    deviations: np.ndarray

    def size(self) -> tuple[float, float]:
        return self.panel_size()

    def panel_size(self) -> tuple[float, float]:
        return 5.6, 1.2 + 0.28 * len(self.names)

    def plot(self, axes: Any) -> None:
        heights = np.arange(len(self.names))
        style = {"fmt": "o", "color": COLOURS[0], "capsize": 3}
        axes.errorbar(self.means, heights, xerr=self.deviations, **style)
        axes.locator_params(axis="x", nbins=5)
        axes.set_yticks(heights, self.names)
        axes.set_ylim(len(self.names) - 0.5, -0.5)
        axes.grid(alpha=0.3)
        set_title(axes, self.title)


@dataclasses.dataclass(frozen=True, eq=False)
class Series(Panel):
    """Means with standard deviations over a number: of each name its x, means and deviations."""

    series: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    x_label: str

    def size(self) -> tuple[float, float]:
        return self.panel_size()

    def plot(self, axes: Any) -> None:
        styles = zip(itertools.cycle(COLOURS), itertools.cycle(LINES), strict=False)
        for (name, (x, y, d)), (colour, line) in zip(self.series.items(), styles, strict=False):
            look = {"marker": "o", "linestyle": line, "color": colour, "capsize": 3}
            axes.errorbar(x, y, yerr=d, label=name, **look)
        x = np.concatenate([x for x, _, _ in self.series.values()])
        ticks = np.unique(x)
        logarithmic = x.min() > 0 and x.max() >= 10 * x.min()
        if logarithmic:
            axes.set_xscale("log")
        if logarithmic or len(ticks) <= 8:
            axes.set_xticks(ticks, [f"{v:g}" for v in ticks])
            axes.minorticks_off()
        axes.set_xlabel(self.x_label)
        axes.grid(alpha=0.3)
        if len(self.series) > 1:
            axes.legend()
        set_title(axes, self.title)


def charts(title: str, table: dict[str, dict[str, Spread]]) -> Panels:
    """A chart of each column in which variants differ, but for the time of whole runs: a point per
    variant, or, where every name ends in a number, a line over it for each beginning."""
    numbered = [re.fullmatch(r"(.*?)[ =]?(\d+(?:\.\d+)?(?:e-?\d+)?)", name) for name in table]
    panels = []
    for column in columns(table):
        rows = {v: row[column] for v, row in table.items() if column in row}
        if column == "seconds" or len(rows) > 1 and len(set(rows.values())) == 1:
            continue
        if len(table) > 1 and all(numbered):
            panels.append(_series(column, rows, dict(zip(table, numbered, strict=True))))
        else:
            means, deviations = (np.array(a) for a in list(zip(*rows.values(), strict=True))[:2])
            panels.append(Points(column, tuple(rows), means, deviations))
    return Panels(title, tuple(panels), columns=min(2, len(panels)))


def _series(title: str, rows: dict[str, Spread], numbered: dict[str, re.Match]) -> Series:
    series: dict[str, list[tuple[float, float, float]]] = {}
    for variant, spread in rows.items():
        name, number = numbered[variant].groups()
        series.setdefault(name, []).append((float(number), *spread[:2]))
    arrays = {name: tuple(np.array(sorted(points)).T) for name, points in series.items()}
    words = {name.rsplit(" ", 1)[-1] for name in arrays}  # the last: what the number is of
    label = next(iter(arrays)) if len(arrays) == 1 else words.pop() if len(words) == 1 else ""
    return Series(title, arrays, label)


def learning_curves(runs: Runs) -> Panels | None:
    """The metrics over the steps, of the validation split where there is one, mean over seeds.

    None where there are too many variants to tell apart.
    """
    if len(runs) > MOST_CURVES:
        return None
    points: dict[str, dict[str, dict[int, list[float]]]] = {}  # by metric, variant and step
    for variant, rows in runs.items():
        histories = [metrics_log.read(Path(row["workdir"]) / "metrics.jsonl") for row in rows]
        lines = list(itertools.chain.from_iterable(histories))
        splits = {line["split"] for line in lines}
        split = "validation" if "validation" in splits else "train"
        for line in (line for line in lines if line["split"] == split):
            for name, value in line.items():
                steps = points.setdefault(f"{split} {name}", {}).setdefault(variant, {})
                steps.setdefault(line["step"], []).append(value)
    panels = [
        _over_steps(name, variants)
        for name, variants in points.items()
        if name.split()[1] not in ("step", "split") and not name.endswith("_s")
    ]
    return Panels("", tuple(panels), columns=min(2, len(panels))) if panels else None


def _over_steps(name: str, variants: dict[str, dict[int, list[float]]]) -> LinePlot:
    steps = np.array(sorted({step for points in variants.values() for step in points}))
    curves = {
        variant: np.array([mean(points[s]) if s in points else np.nan for s in steps.tolist()])
        for variant, points in variants.items()
    }
    return LinePlot(name, steps, curves, "step", name)
