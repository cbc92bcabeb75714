"""Kills runs at random instants and compares what they end with, bit for bit.

    python tests/benchmarks/kills.py [KILLS] [SEED]

Each run is killed by SIGKILL at KILLS (20) instants drawn over the wall time of an undisturbed run,
started again by the same command after each, and finished at last. Parameters, optimizer state,
averages, recurrent carry and all of metrics.jsonl but the clock must equal the undisturbed run's.
"""

import collections
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nets.cli.runs import quiet
from nets.cli.verify import differences

LAUNCH = Path(__file__).parent.parent.parent / "launch.py"
RUNS = {
    # augmentation, dropout and an average of the parameters
    "lenet5_digits": ("--steps=1000", "--save_every=4", "--eval_every=100"),
    # the carry goes from segment to segment; every stop is mid-epoch
    "char_lstm_python": (
        "--steps=400", "--save_every=4", "--eval_every=100", "--model.cell.features=64",
        "--model.dropout=0.2", "--task.sample_length=50", "--data.eval_batch_size=512",
    ),
}  # fmt: skip


def phase(workdir: Path, output: str) -> str:
    """The activity of a run, from the files it has written."""
    if not (workdir / ".lock").exists() or not output.strip():
        return "starting or compiling"
    if list((workdir / "checkpoints").glob("*tmp*")):
        return "saving"
    last = output.strip().splitlines()[-1]
    trained = last.startswith("step ") and "/" in last.split()[1]
    if trained and int(last.split()[1].split("/")[0]) % 100 == 0:
        return "evaluating"
    return "concluding" if "test" in last or "|" in last else "training"


def main(kills: int, seed: int) -> int:
    rng, failed = random.Random(seed), 0
    for name, arguments in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, str(LAUNCH), f"--experiment={name}", *arguments]
            calm, killed = Path(folder) / "calm", Path(folder) / "killed"
            subprocess.run([*command, f"--workdir={calm}"], check=True, stdout=subprocess.DEVNULL)
            began = time.monotonic()
            subprocess.run(
                [*command, f"--workdir={Path(folder) / 'again'}"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            wall = time.monotonic() - began
            repeat = differences(calm, Path(folder) / "again")
            met = collections.Counter()
            while met.total() < kills:
                log = Path(folder) / "log"
                with open(log, "w") as file:
                    process = subprocess.Popen([*command, f"--workdir={killed}"], stdout=file)
                    time.sleep(rng.uniform(0, wall))
                    ended = process.poll() is not None
                    process.kill()
                    process.wait()
                if ended:  # the instant came too late for what was left: begin another run
                    failed += report(name, differences(calm, killed), "an earlier killed run")
                    subprocess.run(["rm", "-r", killed], check=True)
                else:
                    met[phase(killed, log.read_text())] += 1
            subprocess.run([*command, f"--workdir={killed}"], check=True, stdout=subprocess.DEVNULL)
            print(f"{name}: undisturbed {wall:.1f} s; {kills} kills: {dict(met)}")
            failed += report(name, repeat, "two undisturbed runs")
            failed += report(name, differences(calm, killed), "killed and undisturbed run")
    return failed


def report(name: str, found: list[str], what: str) -> int:
    print(f"{name}: {what}: " + ("; ".join(found) or "the same, bit for bit"))
    return bool(found)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    with quiet():
        sys.exit(main(*(numbers + [20, 0][len(numbers) :])))
