#!/usr/bin/env python3
"""What it costs that a thread can be stopped and moved: the example programs compiled as always, against the same
programs compiled without polls, checks after calls, store barriers, depth count and stack check (irc run --unmovable).

    price.py --bin build/release/bin [--joined] [--repetitions N] [--only PROGRAM] [--smoke] [--json FILE]

Both variants run in turn, mode jit, one worker. *price* compares the steady state (see whole_programs.py): the median
over the repetitions, with quartiles. The kernels alone, in one process: jit_kernels.

With --joined: what it costs that there are other nodes. The programs on one node of two, all their data at home there,
against the same on a node that is alone; code checks each object then, and a node that does nothing is looked after.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

from whole_programs import PROGRAMS, ROOT, arguments, interleave

# As PROGRAMS.
MORE = {
    "stencil": (["50", "1", "400"], ["1500", "1", "400"], ["20", "1", "16"]),
    "gather": (["10000"], ["400000"], ["10"]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--joined", action="store_true", help="the price of a second node, instead of that of movability")
    parser.add_argument("--only", choices=PROGRAMS | MORE)
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    rows = {}
    with_it, without = variants = ("joined", "alone") if args.joined else ("movable", "unmovable")
    print(f"{'program':14}{with_it + ' s':>13}{without + ' s':>13}{'price':>9}   quartiles")
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder_name:
        folder = pathlib.Path(folder_name)
        for name, (short, long, small) in (PROGRAMS | MORE if args.joined else PROGRAMS).items():
            if args.only not in (None, name):
                continue
            source = str(ROOT / ("benchmarks" if name == "gather" else "examples") / f"{name}.ir")
            if args.joined:
                run = [str(args.bin / "jvmcluster"), "run", "--mode", "jit", "--workers", "1", "--balance", "off",
                       "--placement", "starter"]
                commands = {"joined": [*run, "--nodes", "2", source], "alone": [*run, "--nodes", "1", source]}
            else:
                run = [str(args.bin / "irc"), "run", "--mode", "jit"]
                commands = {"movable": [*run, source], "unmovable": [*run, "--unmovable", source]}
            sizes = (None, small) if args.smoke else (short, long)
            times = interleave(name, commands, *(size and arguments(folder, size) for size in sizes),
                               1 if args.smoke else args.repetitions)
            ratio, low, high = times.ratio("steady", *variants)
            seconds = {v: statistics.median(s) for v, s in times.steady.items()}
            print(f"{name:14}{seconds[with_it]:13.3f}{seconds[without]:13.3f}{ratio - 1:9.1%}"
                  f"   {low - 1:.1%} to {high - 1:.1%}", flush=True)
            rows[name] = {"steadySeconds": seconds, "price": ratio - 1, "quartiles": [low - 1, high - 1]}
    mean = statistics.geometric_mean(1 + row["price"] for row in rows.values()) - 1
    print(f"{'geometric mean':40}{mean:8.1%}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
