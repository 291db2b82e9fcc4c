#!/usr/bin/env python3
"""show_stats.py FILE.json: what `jvmcluster run --stats` wrote, as a short table of where threads ran and what moved."""
import json
import sys


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1]) as file:
        stats = json.load(file)
    columns = ["node", "guest CPU s", "compiled %", "functions", "moved in", "moved out", "fetches", "fetched KiB", "flushes"]
    rows = []
    for node in stats["nodes"]:
        captures, moves, objects = node["captures"], node.get("moves", {}), node.get("objects", {})
        interpreted, compiled = captures["cpuNanosInterpreter"], captures["cpuNanosCompiled"]
        total = interpreted + compiled
        rows.append([node["node"], f"{total / 1e9:.2f}", f"{100 * compiled / total:.0f}" if total else "-",
                     node["code"]["functions"] + node["code"]["continuations"], moves.get("in", 0), moves.get("out", 0),
                     objects.get("fetches", 0), f"{objects.get('fetch_bytes', 0) / 1024:.0f}", objects.get("flush_messages", 0)])
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        print("  ".join(str(cell).rjust(width) for cell, width in zip(row, widths)))
    wire = [node["moves"]["wire"] for node in stats["nodes"] if node.get("moves", {}).get("wire", {}).get("count")]
    if wire:
        print(f"\n{sum(w['count'] for w in wire)} moves; from one node to the next in {max(w['p50'] for w in wire) / 1000:.0f} us "
              "(median of the slowest node, upper bound of its histogram bucket)")
    print(f"wall time {stats['wallNanos'] / 1e9:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
