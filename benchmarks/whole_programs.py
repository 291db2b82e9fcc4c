"""What the benchmarks of whole programs share: the programs with their sizes, and interleaved runs of several variants.

A program runs in two sizes. The CPU time of the long run is the *whole process*: start-up and compilation included. The
long run less the short one is the *steady state*: both start and compile alike, so that what remains is the additional
work, done by compiled code.
"""
import os
import pathlib
import random
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCENE = ROOT / "examples/data/spheres.scene"

# Arguments: for a short run, a long run, and a smoke run. OUT is a picture to be written, WORDS:n a text of n words,
# CITIES:n the first n of a list of cities. Programs with threads get one.
PROGRAMS = {
    "nbody": (["5000", "1", "100"], ["40000", "1", "100"], ["20", "1", "16"]),
    "mandelbrot": (["800", "500", "1"], ["2400", "500", "1"], ["40", "50", "1"]),
    "raytrace": ([SCENE, "OUT", "240", "180", "1", "4"], [SCENE, "OUT", "720", "540", "1", "4"],
                 [SCENE, "OUT", "40", "30", "1", "1"]),
    "tsp": (["CITIES:13", "13", "1"], ["CITIES:18", "18", "1"], ["CITIES:6", "6", "1"]),
    "wordcount": (["1", "WORDS:500000"], ["1"] + ["WORDS:500000"] * 20, ["1", "WORDS:500"]),
    "philosophers": (["5", "2000"], ["5", "1000000"], ["3", "10"]),
}


def words_file(folder, count):
    """Words of two to nine letters; few are frequent and many rare, as in a text."""
    path = folder / f"words{count}.txt"
    if not path.exists():
        rng = random.Random(7)
        known = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 9))) for _ in range(5000)]
        picks = (known[min(int(rng.paretovariate(0.8)) - 1, len(known) - 1)] for _ in range(count))
        path.write_text("".join(word + ("\n" if i % 12 == 11 else " ") for i, word in enumerate(picks)))
    return path


def cities_file(folder, count):
    path = folder / f"cities{count}.txt"
    rng = random.Random(11)
    path.write_text("".join(f"city{i} {rng.uniform(40, 60):.4f} {rng.uniform(-5, 25):.4f}\n" for i in range(count)))
    return path


def arguments(folder, given):
    """Arguments of a program as strings, with files made in `folder`."""
    made = {"WORDS": words_file, "CITIES": cities_file}
    out = []
    for argument in map(str, given):
        kind, _, number = argument.partition(":")
        out.append(str(folder / "out.ppm" if argument == "OUT" else
                       made[kind](folder, int(number)) if kind in made else argument))
    return out


def cpu_seconds(command):
    """(CPU seconds of the process with all its threads, standard output) of one run."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, out.decode()


def normalised(text):
    """Numbers as numbers: C prints 17 digits where others print the shortest form."""
    words = []
    for word in text.split():
        try:
            words.append(repr(float(word)) if "." in word or "e" in word.lower() else word)
        except ValueError:
            words.append(word)
    return words


class Times:
    """CPU seconds of the variants of one program: whole[v] and steady[v] are lists, an entry per repetition."""

    def __init__(self, variants):
        self.whole = {v: [] for v in variants}
        self.steady = {v: [] for v in variants}

    def ratio(self, part, variant, base):
        """Median of the ratios within a repetition, and the quartiles around it."""
        ratios = [a / b for a, b in zip(getattr(self, part)[variant], getattr(self, part)[base])]
        if len(ratios) < 2:
            return ratios[0], ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4)
        return statistics.median(ratios), low, high


def interleave(name, commands, short, long, repetitions):
    """Runs all variants in turn, `repetitions` times; all must print the same. `commands`: command by variant."""
    times = Times(commands)
    for _ in range(repetitions):
        printed = {}
        for variant, command in commands.items():
            before, _ = cpu_seconds(command + short) if short else (0.0, "")
            whole, out = cpu_seconds(command + long)
            times.whole[variant].append(whole)
            times.steady[variant].append(whole - before)
            printed[variant] = normalised(out)
        first = next(iter(printed.values()))
        if any(out != first for out in printed.values()):
            sys.exit(f"{name}: results differ: {printed}")
    return times
