"""The outputs of a run: terminal, log.txt, metrics.jsonl, TensorBoard, pictures, result.json."""

import hashlib
import json
import os
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from nets.report import figures, line_plot, metrics_log, page


class Reporter:
    """Writes for one work directory.

    Args:
        workdir: the work directory.
        record: what config.json holds.
        active: whether anything is written or printed; of several processes in one alone.
        samples: whether what is trained can be sampled from.
        predicts: the flag by which it is applied to inputs of one's own, such as --input=FILE. None
            means that it is not.
        prompts: whether a sample has a text to begin with.
        source: the experiment's file, of which a copy is kept. None means one from Python.
    """

    def __init__(
        self,
        workdir: Path,
        record: dict[str, Any],
        *,
        active: bool = True,
        samples: bool = False,
        predicts: str | None = None,
        prompts: bool = True,
        source: Path | None = None,
    ) -> None:
        self.workdir, self.record, self.source = workdir, record, source
        self.samples, self.prompts, self.predicts = samples, prompts, predicts
        self.finished: dict[str, Any] = {}
        self.active = active
        self.console = Console(highlight=False, quiet=not self.active, soft_wrap=True)
        self._bar: Progress | None = None
        self._log: metrics_log.Log | None = None
        self._unlogged: list[str] = []

    def say(self, text: str) -> None:
        """A line on the terminal and in log.txt."""
        self.console.print(text, markup=False)
        self._unlogged.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        if self._log is not None:
            with open(self.workdir / "log.txt", "a") as file:
                file.writelines(self._unlogged)
            self._unlogged = []

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")

    def open(self, size: int, step: int, steps: int) -> None:
        """Opens the files, cut to `size` bytes of metrics.jsonl and to `step`, and the bar."""
        self._clock(step)
        if not self.active:
            return
        write_json(self.workdir / "config.json", self.record)
        if self.source is not None:
            keep_copy(self.source, self.workdir)
        (self.workdir / "pictures").mkdir(exist_ok=True)
        missing = metrics_log.cut(self.workdir / "metrics.jsonl", size)
        self._log = metrics_log.Log(self.workdir, step)
        if missing:
            self.warn(f"metrics.jsonl lacks {missing} bytes that the run had written: it was cut")
        if self.console.is_terminal:
            columns = (
                BarColumn(),
                "{task.completed}/{task.total}",
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, TimeRemainingColumn(), console=self.console)
            self._task = self._bar.add_task("", total=steps, completed=step)
            self._bar.start()
        self._clock(step)

    def sync(self) -> int:
        """Brings metrics.jsonl to disk; its size."""
        return self._log.sync() if self._log else 0

    def tick(self, step: int) -> None:
        if self._bar:
            self._bar.update(self._task, completed=step)

    def train_line(self, step: int, steps: int, values: dict[str, float], batch_size: int) -> None:
        """The training metrics since the last line, with the speed."""
        now = time.monotonic()
        speed = (step - self._last[0]) / max(now - self._last[1], 1e-9)
        self._last = (step, now)
        rates = {"steps_per_s": speed, "examples_per_s": speed * batch_size}
        self._write(step, "train", values | rates)
        line = f"loss {values['loss']:.4f}  {speed:.1f} steps/s"
        if self._bar:
            self._bar.update(self._task, description=line)
        else:
            left = time.strftime("%H:%M:%S", time.gmtime((steps - step) / speed))
            self.say(f"step {step}/{steps}  {line}  {left} left")

    def evaluation(self, step: int, split: str, values: dict[str, float], best: bool) -> None:
        self._write(step, split, values)
        line = "  ".join(f"{k} {v:.4f}" for k, v in values.items())
        self.say(f"step {step}  {split}: {line}{'  (best so far)' if best else ''}")
        self._clock(step)

    def figures(self, step: int, drawn: dict[str, figures.Figure]) -> None:
        """Draws what a task found worth looking at, as files and in TensorBoard."""
        for name, figure in drawn.items():
            path = figure.write(self.workdir / "pictures", name)
            if path.suffix == ".txt":
                text = path.read_text()
                self.say(f"--- {figure.title}\n{text}\n---")
                self._log.pictures.add_text(name, f"```\n{text}\n```", step)
            elif path.suffix == ".png":
                self._picture(name, path, step)

    def conclude(self, result: dict[str, Any]) -> None:
        """result.json, learning curves, report.html and the closing table."""
        self.finished = result
        if not self.active:
            return
        self._stop_bar()
        self._log.sync()
        history = metrics_log.read(self.workdir / "metrics.jsonl")
        path = self.workdir / "pictures" / "curves.png"
        line_plot.learning_curves([history], path)
        self._picture("curves", path, result["step"])
        finished = time.strftime("%Y-%m-%d %H:%M:%S")
        page.write(self.workdir, self.record, result, history, finished)
        write_json(self.workdir / "result.json", result)
        self.result(result)

    def result(self, result: dict[str, Any]) -> None:
        """The closing table: the result, what was best, where things lie, what comes next."""
        rows = self._rows(result)
        if not self.console.is_terminal:  # where another program reads it, nothing is wrapped
            width = max(len(name) for name, _ in rows)
            self.console.print("\n".join(f"{n:{width}}  {v}" for n, v in rows), markup=False)
            return
        table = Table(show_header=False, box=None)
        table.add_column()
        table.add_column(overflow="fold")  # a command is whole, however narrow the terminal
        for row in rows:
            table.add_row(*row)
        self.console.print(table, markup=False)

    def _rows(self, result: dict[str, Any]) -> list[tuple[str, str]]:
        launch, where = "python launch.py", shlex.quote(f"--workdir={self.workdir}")
        evaluated = [split for split in page.EVALUATED if split in result]
        rows = [
            (f"{split} {name}", f"{value:.6g}")
            for split in evaluated
            for name, value in result[split].items()
        ]
        if "zero_weights" in result:
            rows.append(("zero weights", f"{result['zero_weights']:,}"))
        if result["best_step"] is not None:
            rows.append(("best step", f"{result['best_step']} of {result['step']}"))
        if not evaluated:
            rows.append(("not evaluated", "the data has no validation and no test split"))
        rows += [
            ("trained for", f"{result['elapsed_s']:.1f} s"),
            ("report", str(self.workdir / "report.html")),
        ]
        if self.source is None:
            return [
                *rows,
                ("load it", f"nets.cli.runs.load({str(self.workdir)!r}, experiment=...)"),
            ]
        if evaluated:
            rows.append(("evaluate it", f"{launch} eval {where}"))
        if self.samples:
            prompt = " --prompt='...'" if self.prompts else ""
            rows.append(("sample it", f"{launch} sample {where}{prompt}"))
        if self.predicts:
            rows.append(("apply it", f"{launch} predict {where} {self.predicts}"))
        return [*rows, ("extend it", f"{launch} {where} --steps={2 * result['step']}")]

    def close(self) -> None:
        self._stop_bar()
        if self._log:
            self._log.close()
            self._log = None

    def _stop_bar(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _clock(self, step: int) -> None:
        """Steps are timed from this one on, and from now."""
        self._last = (step, time.monotonic())

    def _write(self, step: int, split: str, values: dict[str, float]) -> None:
        if self._log:
            self._log.write(step, split, values)

    def _picture(self, name: str, path: Path, step: int) -> None:
        from PIL import Image

        pixels = np.asarray(Image.open(path).convert("RGB"))
        self._log.pictures.add_image(name, pixels, step, dataformats="HWC")


def keep_copy(path: Path, workdir: Path) -> None:
    """Copies the experiment's file to `experiment.py` of the work directory.

    An older copy that differs is kept; its name begins the digest that config.json had of it.
    """
    copy, now = workdir / "experiment.py", path.read_bytes()
    if copy.is_file() and (before := copy.read_bytes()) != now:
        digest = hashlib.blake2b(before, digest_size=16).hexdigest()[:8]
        copy.rename(workdir / f"experiment-{digest}.py")
    copy.write_bytes(now)


def write_json(path: Path, value: Any) -> None:
    """Writes the whole file or nothing of it."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(part, path)
