#!/usr/bin/env python3
"""Fails on an include that points up or sideways between layers, and on a vendor header outside its folder.

    ir <- runtime/abi <- { jit | runtime },  runtime <- cluster,  tools joins them all
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# layer -> what it may include (first match of a path prefix decides a file's layer)
ALLOWED = [
    ("ir/", ("ir/",)),
    ("runtime/abi/", ("ir/", "runtime/abi/")),
    ("runtime/", ("ir/", "runtime/")),
    ("jit/", ("ir/", "runtime/abi/", "jit/")),
    ("cluster/", ("ir/", "runtime/", "cluster/")),
]
# vendor include prefix -> the only folders that may see it
VENDORS = {
    "llvm/": ("jit/",),
    "tbb/": ("runtime/sched/",),
    "oneapi/": ("runtime/sched/",),
    "boost/context": ("runtime/fiber/",),
    "capnp/": ("cluster/", "ir/binary/"),
    "kj/": ("cluster/", "ir/binary/"),
    "CLI/": ("tools/",),
    "toml++/": ("tools/common/settings/",),
    "openssl/": ("cluster/net/",),
    "curl/": ("cluster/registry/",),
    "curses": ("tools/jvmcluster/",),
    "protozero/": ("tools/jvmcluster/",),
    "zlib": ("tools/jvmcluster/",),
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
LAYERS = ("ir/", "runtime/", "jit/", "cluster/", "tools/")


def main() -> int:
    errors = []
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*")):
            if path.suffix not in (".h", ".cpp"):
                continue
            name = path.relative_to(ROOT).as_posix()
            allowed = next((to for prefix, to in ALLOWED if name.startswith(prefix)), None)
            for kind, target in INCLUDE.findall(path.read_text()):
                if kind == '"' and allowed and target.startswith(LAYERS) and not target.startswith(allowed):
                    errors.append(f"{name}: includes {target}, which its layer may not see")
                for vendor, folders in VENDORS.items():
                    if target.startswith(vendor) and not name.startswith(folders):
                        errors.append(f"{name}: includes <{target}>; {vendor} belongs in {', '.join(folders)} only")
    for error in errors:
        print(error, file=sys.stderr)
    print(f"layers: {len(errors)} violations")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
