#!/usr/bin/env python3
"""What it costs that a thread can be stopped and moved: the example programs compiled as always, against the same
programs compiled without polls, checks after calls, store barriers, depth count and stack check (irc run --unmovable).

    price.py --bin build/release/bin [--repetitions N] [--only PROGRAM] [--smoke] [--json FILE]

Both variants run in turn, mode jit, one worker. *price* compares the steady state (see whole_programs.py): the median
over the repetitions, with quartiles. The kernels alone, in one process: jit_kernels.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

from whole_programs import PROGRAMS, ROOT, arguments, interleave


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--only", choices=PROGRAMS)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    run = [str(args.bin / "irc"), "run", "--mode", "jit"]
    rows = {}
    print(f"{'program':14}{'movable s':>11}{'unmovable s':>13}{'price':>9}   quartiles")
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder_name:
        folder = pathlib.Path(folder_name)
        for name, (short, long, small) in PROGRAMS.items():
            if args.only not in (None, name):
                continue
            source = str(ROOT / f"examples/{name}.ir")
            commands = {"movable": [*run, source], "unmovable": [*run, "--unmovable", source]}
            sizes = (None, small) if args.smoke else (short, long)
            times = interleave(name, commands, *(size and arguments(folder, size) for size in sizes),
                               1 if args.smoke else args.repetitions)
            ratio, low, high = times.ratio("steady", "movable", "unmovable")
            seconds = {v: statistics.median(s) for v, s in times.steady.items()}
            print(f"{name:14}{seconds['movable']:11.3f}{seconds['unmovable']:13.3f}{ratio - 1:9.1%}"
                  f"   {low - 1:.1%} to {high - 1:.1%}", flush=True)
            rows[name] = {"steadySeconds": seconds, "price": ratio - 1, "quartiles": [low - 1, high - 1]}
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
