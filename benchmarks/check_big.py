#!/usr/bin/env python3
"""How fast `irc check` and `irc build` read a big program: a text is parsed, its names resolved, and verified; building
also writes the stored module, which is then checked once more.

    check_big.py --bin build/release/bin [--functions N] [--repetitions N] [--smoke] [--json FILE]

The program is made here: classes, and functions with loops, arrays, fields, calls and handlers. Medians of CPU time.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

from whole_programs import cpu_seconds

CLASS = """
class C{i} {{
  field count: i64
  field next: ref(C{i})
  field data: array(f64)
}}
"""

FUNCTION = """
// Adds up what is below the bound; follows the list once in a while.
func @f{i}(%n: i32, %bound: f64, %c: ref(C{c})) -> i64 {{
  %data = load_field %c, C{c}.data
  %length = array_length %data
  %less = min.i32 %n, %length
  br loop(0, 0)
loop(%k: i32, %sum: i64) handler failed:
  %more = lt.i32 %k, %less
  br_if %more, body, done(%sum)
body handler failed:
  %x = load_elem %data, %k
  %small = lt.f64 %x, %bound
  %k2 = add.i32 %k, 1
  br_if %small, add, loop(%k2, %sum)
add handler failed:
  %whole = f64_to_i64 %x
  %sum2 = add.i64 %sum, %whole
  %mixed = xor.i64 %sum2, {i}
  %next = load_field %c, C{c}.next
  %part = call @f{callee}(%k, %x, %next)
  %sum3 = add.i64 %mixed, %part
  br loop(%k2, %sum3)
failed(%e: ref(Throwable)):
  br done(-1)
done(%result: i64):
  store_field %c, C{c}.count, %result
  return %result
}}
"""


def program(functions):
    """Source text: each class serves eight functions, each function calls the one before it of the same class."""
    parts = []
    for i in range(functions):
        cls = i // 8
        if i % 8 == 0:
            parts.append(CLASS.format(i=cls))
        parts.append(FUNCTION.format(i=i, c=cls, callee=i if i % 8 == 0 else i - 1))
    parts.append("\nfunc @main() -> i32 {\n  return 0\n}\n")
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--functions", type=int, default=14_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a small program, one repetition: checks that it runs")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    functions, repetitions = (40, 1) if args.smoke else (args.functions, args.repetitions)
    with tempfile.TemporaryDirectory(prefix="jvmc-bench-") as folder_name:
        folder = pathlib.Path(folder_name)
        source, stored = folder / "big.ir", folder / "big.irm"
        text = program(functions)
        source.write_text(text)
        irc = str(args.bin / "irc")
        commands = {"check": [irc, "check", str(source)], "build": [irc, "build", str(source), "-o", str(stored)],
                    "check stored": [irc, "check", str(stored)]}
        times = {name: [] for name in commands}
        for _ in range(repetitions):
            for name, command in commands.items():
                times[name].append(cpu_seconds(command)[0])
    lines = text.count("\n")
    result = {"lines": lines, "bytes": len(text), "cpuSeconds": {n: statistics.median(t) for n, t in times.items()}}
    print(f"{lines} lines, {len(text) / 1e6:.1f} MB, {functions} functions")
    for name, seconds in result["cpuSeconds"].items():
        print(f"  irc {name:14}{seconds:8.3f} s CPU {lines / seconds / 1e6:8.2f} M lines/s")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
