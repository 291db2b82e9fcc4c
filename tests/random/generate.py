#!/usr/bin/env python3
"""Writes random, valid, terminating and deterministic IR programs.

    generate.py SEED            prints the program of that seed
    generate.py --coverage N    prints which opcodes the programs of seeds 1..N use

Every function has the same set of typed variables, carried as parameters of every block, so that any structure of ifs,
loops and protected regions can be put together: statements only need the current SSA name of each variable. Loops are
counted, recursion has a depth parameter, other calls only go to functions generated before: every program ends. Two
threads add to shared counters under a monitor and by atomic operations, in ways whose outcome does not depend on order.
"""
import random
import re
import sys

VARS = [("i", "i32")] * 3 + [("l", "i64")] * 2 + [("d", "f64")] * 2 + [("o", "ref(A)")] + [("v", "array(i32)")]
NAMES = []
for prefix, kind in VARS:
    NAMES.append((f"{prefix}{sum(n.startswith(prefix) for n, _ in NAMES)}", kind))

PRELUDE = """module "random"

native @io.print(array(i8)) outside
native @bytes.from_i64(i64) -> array(i8) node
native @math.sin(f64) -> f64 pure

interface Scorer {
  method score(i32) -> i32
}

class A implements Scorer {
  field a: i32
  field b: i64
  field c: f64
  field s: i16
  field t: i8
  field next: ref(A)
  field volatile v: i32
  field volatile w: i64
  static total: i64
  static volatile ticks: i32
  method m(i32) -> i32 = @A.m
  method score(i32) -> i32 = @A.score
  init @A.clinit
}

class B : A {
  field extra: i64
  static made: i32
  method m(i32) -> i32 = @B.m
  init @B.clinit
}

class C : B {
  method score(i32) -> i32 = @C.score
}

class Shared {
  field count: i64
  field volatile atomic: i64
  field volatile small: i32
  field rows: array(i64)
}

func @A.clinit() {
  store_static A.total, 7
  return
}

func @B.clinit() {
  %t = load_static A.total
  %t2 = add.i64 %t, 11
  store_static A.total, %t2
  store_static B.made, 3
  return
}

func @A.m(%self: ref(A), %x: i32) -> i32 {
  %a = load_field %self, A.a
  %r = add.i32 %a, %x
  store_field %self, A.a, %r
  return %r
}

func @A.score(%self: ref(A), %x: i32) -> i32 {
  %y = mul.i32 %x, 3
  return %y
}

func @B.m(%self: ref(B), %x: i32) -> i32 {
  %e = load_field %self, B.extra
  %x64 = i32_to_i64 %x
  %e2 = add.i64 %e, %x64
  store_field %self, B.extra, %e2
  %r = i64_to_i32 %e2
  return %r
}

func @C.score(%self: ref(C), %x: i32) -> i32 {
  %y = call_virtual %self, A.m(%x)
  %z = xor.i32 %y, %x
  return %z
}

// A number for the class of an exception.
func @kind(%e: ref(Throwable)) -> i32 {
  %a = instance_of %e, ArithmeticException
  %n = instance_of %e, NullPointerException
  %x = instance_of %e, ArrayIndexOutOfBoundsException
  %g = instance_of %e, NegativeArraySizeException
  %c = instance_of %e, ClassCastException
  %n2 = mul.i32 %n, 2
  %x2 = mul.i32 %x, 4
  %g2 = mul.i32 %g, 8
  %c2 = mul.i32 %c, 16
  %s1 = or.i32 %a, %n2
  %s2 = or.i32 %x2, %g2
  %s3 = or.i32 %s1, %s2
  %s4 = or.i32 %s3, %c2
  return %s4
}

func @recurse(%depth: i32, %x: i64) -> i64 {
  %end = le.i32 %depth, 0
  br_if %end, leaf, inner
leaf:
  return %x
inner:
  %d = sub.i32 %depth, 1
  %m = mul.i64 %x, 31
  %y = call @recurse(%d, %m)
  %d2 = sub.i32 %depth, 3
  %z = call @recurse(%d2, %y)
  %r = add.i64 %y, %z
  return %r
}

func @worker(%s: ref(Shared), %rounds: i32, %step: i64) {
  br loop(0)
loop(%i: i32):
  %more = lt.i32 %i, %rounds
  br_if %more, body, done
body:
  monitor_enter %s
  %c = load_field %s, Shared.count
  %c2 = add.i64 %c, %step
  store_field %s, Shared.count, %c2
  %rows = load_field %s, Shared.rows
  %n = array_length %rows
  %k = rem.i32 %i, %n
  %old = load_elem %rows, %k
  %new = add.i64 %old, %step
  store_elem %rows, %k, %new
  monitor_exit %s
  %was = add_field %s, Shared.atomic, %step
  br spin
spin:
  %now = load_field %s, Shared.small
  %next = add.i32 %now, 1
  %ok = cas_field %s, Shared.small, %now, %next
  br_if %ok, step, spin
step:
  %i2 = add.i32 %i, 1
  br loop(%i2)
done:
  return
}
"""


class Function:
    """Builds one function; `env` maps each variable to the SSA name that holds it now."""

    def __init__(self, rng, name, callees):
        self.rng, self.name, self.callees = rng, name, callees
        self.lines, self.env = [], {}
        self.values = self.blocks = 0
        self.budget = rng.randint(10, 40)
        self.handler = None

    def fresh(self):
        self.values += 1
        return f"%x{self.values}"

    def emit(self, text):
        self.lines.append("  " + text)

    def set(self, var, text):
        value = self.fresh()
        self.emit(f"{value} = {text}")
        self.env[var] = value

    def pick(self, prefix):
        return self.rng.choice([n for n, _ in NAMES if n.startswith(prefix)])

    def use(self, prefix):
        """An operand of that kind: a variable or a literal."""
        r = self.rng
        if prefix == "i" and r.random() < 0.3:
            return str(r.choice([0, 1, -1, 2, 7, 31, 33, 255, 65536, 2147483647, -2147483648, r.randint(-1000, 1000)]))
        if prefix == "l" and r.random() < 0.3:
            return str(r.choice([0, 1, -1, 63, 1 << 40, (1 << 63) - 1, -(1 << 63), r.randint(-10**9, 10**9)]))
        if prefix == "d" and r.random() < 0.3:
            return r.choice(["0.0", "-0.0", "1.5", "-2.25", "1e300", "1e-300", "inf", "nan", "3.141592653589793"])
        return self.env[self.pick(prefix)]

    # -- blocks

    def label(self, suffix=""):
        self.blocks += 1
        return f"b{self.blocks}{suffix}"

    def args(self):
        return ", ".join(self.env[n] for n, _ in NAMES)

    def open(self, label, extra=""):
        """Starts a block with all variables as parameters."""
        for n, _ in NAMES:
            self.env[n] = self.fresh()
        params = ", ".join(f"{self.env[n]}: {t}" for n, t in NAMES)
        handler = f" handler {self.handler}({self.args()})" if self.handler else ""
        self.lines.append(f"{label}({extra}{params}){handler}:")

    def jump(self, label, extra=""):
        self.emit(f"br {label}({extra}{self.args()})")

    # -- statements

    def statement(self, depth):
        self.budget -= 1
        kinds = [self.arith] * 8 + [self.convert] * 2 + [self.memory] * 5 + [self.array] * 4 + [self.call] * 3
        if depth < 3 and self.budget > 0:
            kinds += [lambda: self.branch(depth)] * 3 + [lambda: self.loop(depth)] * 3 + [lambda: self.protect(depth)] * 2
            kinds += [lambda: self.switch(depth)]
        self.rng.choice(kinds)()

    def arith(self):
        r = self.rng
        p, t = r.choice([("i", "i32"), ("l", "i64"), ("d", "f64")])
        var = self.pick(p)
        if p == "d":
            op = r.choice(["add", "sub", "mul", "fdiv", "frem", "min", "max"])
            one = ["neg", "abs", "sqrt", "floor", "ceil"]
        else:
            op = r.choice(["add", "sub", "mul", "and", "or", "xor", "min", "max", "shl", "shr", "ushr", "div", "rem"])
            one = ["neg", "abs"]
        if r.random() < 0.2:
            self.set(var, f"{r.choice(one)}.{t} {self.use(p)}")
        elif op in ("shl", "shr", "ushr"):
            self.set(var, f"{op}.{t} {self.use(p)}, {self.use('i')}")
        elif op in ("div", "rem") and r.random() < 0.8:  # mostly not by zero
            divisor = self.fresh()
            self.emit(f"{divisor} = or.{t} {self.use(p)}, {r.choice([1, 2, 5])}")
            self.set(var, f"{op}.{t} {self.use(p)}, {divisor}")
        elif r.random() < 0.25:
            cmp = r.choice(["eq", "ne", "lt", "le", "gt", "ge"] + ([] if p == "d" else ["ult"]))
            self.set(self.pick("i"), f"{cmp}.{t} {self.use(p)}, {self.use(p)}")
        elif r.random() < 0.1:
            self.set(var, f"select.{t} {self.use('i')}, {self.use(p)}, {self.use(p)}")
        else:
            self.set(var, f"{op}.{t} {self.use(p)}, {self.use(p)}")

    def convert(self):
        op = self.rng.choice("i32_to_i64 i32_to_f64 i64_to_i32 i64_to_f64 f64_to_i32 f64_to_i64 sext8 sext16 zext8 zext16 "
                             "f64_to_bits bits_to_f64 via_f32 float".split())
        if op in ("sext8", "sext16", "zext8", "zext16"):
            self.set(self.pick("i"), f"{op} {self.use('i')}")
        elif op == "f64_to_bits":
            self.set(self.pick("l"), f"f64_to_bits {self.use('d')}")
        elif op == "bits_to_f64":
            self.set(self.pick("d"), f"bits_to_f64 {self.use('l')}")
        elif op == "via_f32":
            a, b = self.fresh(), self.fresh()
            self.emit(f"{a} = f64_to_f32 {self.use('d')}")
            self.emit(f"{b} = add.f32 {a}, 0.5")
            self.set(self.pick("i"), f"f32_to_i32 {b}")
            self.set(self.pick("l"), f"f32_to_i64 {a}")
            self.set(self.pick("d"), f"f32_to_f64 {b}")
        elif op == "float":
            a, b = self.fresh(), self.fresh()
            self.emit(f"{a} = i32_to_f32 {self.use('i')}")
            self.emit(f"{b} = i64_to_f32 {self.use('l')}")
            c = self.fresh()
            self.emit(f"{c} = {self.rng.choice(['mul', 'sub', 'fdiv', 'min'])}.f32 {a}, {b}")
            self.set(self.pick("i"), f"f32_to_bits {c}")
        else:
            source, target = op.split("_to_")
            prefix = {"i32": "i", "i64": "l", "f64": "d"}
            self.set(self.pick(prefix[target]), f"{op} {self.use(prefix[source])}")

    def memory(self):
        r, o = self.rng, self.env["o0"]
        kind = r.randrange(13)
        if kind < 4:
            field, p = r.choice([("a", "i"), ("b", "l"), ("c", "d"), ("s", "i"), ("t", "i"), ("v", "i"), ("w", "l")])
            self.set(self.pick(p), f"load_field {o}, A.{field}")
        elif kind < 7:
            field, p = r.choice([("a", "i"), ("b", "l"), ("c", "d"), ("s", "i"), ("t", "i"), ("v", "i"), ("w", "l")])
            self.emit(f"store_field {o}, A.{field}, {self.use(p)}")
        elif kind == 7:
            fresh = self.fresh()
            self.emit(f"{fresh} = new {r.choice('ABC')}")
            self.emit(f"store_field {fresh}, A.next, {o}")
            self.env["o0"] = fresh
        elif kind == 8:
            following = self.fresh()
            self.emit(f"{following} = load_field {o}, A.next")
            none = self.fresh()
            self.emit(f"{none} = ref_eq {following}, null")
            # sometimes null goes on to hurt
            if r.random() < 0.15:
                self.env["o0"] = following
            else:
                self.set("o0", f"select.ref(A) {none}, {o}, {following}")
        elif kind == 9:
            self.set(self.pick("l"), "load_static A.total")
            self.emit(f"store_static A.total, {self.use('l')}")
        elif kind == 10:
            self.set(self.pick("i"), f"add_field {o}, A.v, {self.use('i')}")
            self.set(self.pick("l"), f"swap_field {o}, A.w, {self.use('l')}")
        elif kind == 11:
            self.set(self.pick("i"), f"instance_of {o}, {r.choice(['A', 'B', 'C', 'Scorer'])}")
        elif r.random() < 0.3:
            cast = self.fresh()
            self.emit(f"{cast} = check_cast {o}, ref(B)")
            self.emit(f"store_field {cast}, B.extra, {self.use('l')}")

    def index(self, array):
        """Mostly in range."""
        n, i = self.fresh(), self.fresh()
        if self.rng.random() < 0.1:
            return self.use("i")
        self.emit(f"{n} = array_length {array}")
        masked = self.fresh()
        self.emit(f"{masked} = and.i32 {self.use('i')}, 7")
        self.emit(f"{i} = min.i32 {masked}, {n}")
        if self.rng.random() < 0.1:
            return i  # may be the length
        last = self.fresh()
        self.emit(f"{last} = sub.i32 {n}, 1")
        inside = self.fresh()
        self.emit(f"{inside} = min.i32 {i}, {last}")
        return inside

    def array(self):
        r, v = self.rng, self.env["v0"]
        kind = r.randrange(9)
        if kind < 3:
            self.set(self.pick("i"), f"load_elem {v}, {self.index(v)}")
        elif kind < 5:
            self.emit(f"store_elem {v}, {self.index(v)}, {self.use('i')}")
        elif kind == 5:
            length = str(r.randint(1, 12)) if r.random() < 0.9 else self.env[self.pick("i")]
            if not length.lstrip("-").isdigit():
                small = self.fresh()
                self.emit(f"{small} = rem.i32 {length}, 20")
                length = small
            fresh = self.fresh()
            self.emit(f"{fresh} = new_array i32, {length}")
            self.env["v0"] = fresh
        elif kind == 6:
            self.set(self.pick("i"), f"{r.choice(['add_elem', 'swap_elem'])} {v}, {self.index(v)}, {self.use('i')}")
        elif kind == 7:
            n = self.fresh()
            self.emit(f"{n} = array_length {v}")
            self.emit(f"array_fill {v}, 0, {n}, {self.use('i')}")
        else:
            at = self.index(v)
            self.emit(f"array_copy {v}, 0, {v}, {at}, 1")

    def call(self):
        r = self.rng
        kind = r.randrange(8)
        if kind < 3 and self.callees:
            self.set(self.pick("l"), f"call @{r.choice(self.callees)}({self.env['i0']}, {self.use('l')}, {self.env['o0']}, {self.env['v0']})")
        elif kind == 3:
            self.set(self.pick("i"), f"call_virtual {self.env['o0']}, A.m({self.use('i')})")
        elif kind == 4:
            self.set(self.pick("i"), f"call_interface {self.env['o0']}, Scorer.score({self.use('i')})")
        elif kind == 5:
            self.set(self.pick("l"), f"call @recurse({r.randint(0, 9)}, {self.use('l')})")
        elif kind == 6:
            self.set(self.pick("d"), f"call_native @math.sin({self.use('d')})")
        else:
            o = self.env["o0"]
            self.emit(f"monitor_enter {o}")
            self.emit(f"store_field {o}, A.a, {self.use('i')}")
            self.emit(f"monitor_exit {o}")

    def block_of(self, depth, low=1, high=4):
        for _ in range(self.rng.randint(low, high)):
            self.statement(depth)

    def branch(self, depth):
        yes, no, join = self.label(), self.label(), self.label()
        self.emit(f"br_if {self.use('i')}, {yes}({self.args()}), {no}({self.args()})")
        for side in (yes, no):
            self.open(side)
            self.block_of(depth + 1)
            self.jump(join)
        self.open(join)

    def switch(self, depth):
        labels = [self.label() for _ in range(3)]
        join = self.label()
        key = self.fresh()
        self.emit(f"{key} = and.i32 {self.use('i')}, 3")
        args = self.args()
        self.emit(f"switch {key}, {labels[0]}({args}) [1: {labels[1]}({args}), 3: {labels[2]}({args})]")
        for label in labels:
            self.open(label)
            self.block_of(depth + 1, 1, 2)
            self.jump(join)
        self.open(join)

    def loop(self, depth):
        head, body, out = self.label(), self.label(), self.label()
        counter, bound = self.fresh(), self.rng.choice([1, 2, 3, 5, 8, 20])
        self.emit(f"br {head}(0, {self.args()})")
        self.open(head, extra=f"{counter}: i32, ")
        more = self.fresh()
        self.emit(f"{more} = lt.i32 {counter}, {bound}")
        self.emit(f"br_if {more}, {body}({self.args()}), {out}({self.args()})")
        self.open(body)
        self.block_of(depth + 1, 1, 3)
        following = self.fresh()
        self.emit(f"{following} = add.i32 {counter}, 1")
        self.emit(f"br {head}({following}, {self.args()})")
        self.open(out)

    def protect(self, depth):
        inner, join, handler = self.label(), self.label(), self.label("h")
        outer, self.handler = self.handler, handler
        self.jump(inner)
        self.open(inner)
        self.block_of(depth + 1, 1, 4)
        if self.rng.random() < 0.3:
            rare, go = self.label(), self.label()
            self.emit(f"br_if {self.use('i')}, {rare}({self.args()}), {go}({self.args()})")
            self.open(rare)
            e = self.fresh()
            self.emit(f"{e} = new {self.rng.choice(['RuntimeException', 'IOException', 'ArithmeticException'])}")
            self.emit(f"throw {e}")
            self.open(go)
        self.handler = outer
        self.jump(join)
        e = self.fresh()
        self.open(handler, extra=f"{e}: ref(Throwable), ")
        self.set(self.pick("i"), f"call @kind({e})")
        if self.rng.random() < 0.1:
            self.emit(f"throw {e}")
        else:
            self.jump(join)
        self.open(join)

    def build(self):
        self.lines.append(f"func @{self.name}(%i: i32, %l: i64, %o: ref(A), %v: array(i32)) -> i64 {{")
        self.env = {"i0": "%i", "i1": "1", "i2": "-5", "l0": "%l", "l1": "99", "d0": "0.5", "d1": "-3.0", "o0": "%o", "v0": "%v"}
        start = self.label()
        self.jump(start)
        self.open(start)
        while self.budget > 0:
            self.statement(0)
        acc = self.env["l0"]
        for n in ("l1", "i0", "i1", "i2", "d0", "d1"):
            value, wide, mixed = self.env[n], self.fresh(), self.fresh()
            if n[0] == "i":
                self.emit(f"{wide} = i32_to_i64 {value}")
            elif n[0] == "d":
                self.emit(f"{wide} = f64_to_bits {value}")
            else:
                wide = value
            scaled = self.fresh()
            self.emit(f"{scaled} = mul.i64 {acc}, 1000003")
            self.emit(f"{mixed} = xor.i64 {scaled}, {wide}")
            acc = mixed
        self.emit(f"return {acc}")
        self.lines.append("}")
        return "\n".join(self.lines)


MAIN = """
func @run(%f: i32, %i: i32, %l: i64) -> i64 {{
  %o = new B
  store_field %o, A.a, %i
  %v = new_array i32, 9
  store_elem %v, 3, %i
  br go
go handler caught:
  switch %f, c0 [{cases}]
{bodies}
caught(%e: ref(Throwable)):
  %k = call @kind(%e)
  %k64 = i32_to_i64 %k
  %r = add.i64 %k64, 1000000
  return %r
}}

func @print(%x: i64) {{
  %text = call_native @bytes.from_i64(%x)
  call_native @io.print(%text)
  %newline = new_bytes "\\n"
  call_native @io.print(%newline)
  return
}}

func @main() -> i32 {{
  %s = new Shared
  %rows = new_array i64, 5
  store_field %s, Shared.rows, %rows
  %t1 = new Thread
  thread_start %t1, @worker(%s, {rounds1}, {step1})
  %t2 = new Thread
  thread_start %t2, @worker(%s, {rounds2}, {step2})
  br loop(0)
loop(%n: i32):
  %more = lt.i32 %n, {calls}
  br_if %more, body, finish
body:
  %f = rem.i32 %n, {functions}
  %i = mul.i32 %n, {factor}
  %l = i32_to_i64 %i
  %r = call @run(%f, %i, %l)
  call @print(%r)
  %n2 = add.i32 %n, 1
  br loop(%n2)
finish:
  %e1 = thread_join %t1, 0
  %e2 = thread_join %t2, 0
  monitor_enter %s
  %count = load_field %s, Shared.count
  %row0 = load_elem %rows, 0
  monitor_exit %s
  call @print(%count)
  call @print(%row0)
  %atomic = load_field %s, Shared.atomic
  call @print(%atomic)
  %small = load_field %s, Shared.small
  %small64 = i32_to_i64 %small
  call @print(%small64)
  %total = load_static A.total
  call @print(%total)
  return {exit}
}}
"""


def program(seed):
    rng = random.Random(seed)
    functions = []
    text = [f"// seed {seed}", PRELUDE]
    for k in range(rng.randint(2, 5)):
        name = f"f{k}"
        text.append(Function(rng, name, list(functions)).build() + "\n")
        functions.append(name)
    bodies = []
    for k, name in enumerate(functions):
        bodies.append(f"c{k} handler caught:\n  %r{k} = call @{name}(%i, %l, %o, %v)\n  return %r{k}")
    text.append(MAIN.format(cases=", ".join(f"{k}: c{k}" for k in range(1, len(functions))), bodies="\n".join(bodies),
                            rounds1=rng.randint(1, 60), rounds2=rng.randint(1, 60), step1=rng.randint(1, 9),
                            step2=rng.randint(1, 9), calls=len(functions) * rng.randint(1, 3), functions=len(functions),
                            factor=rng.choice([1, 3, -7, 1001]), exit=rng.randint(0, 9)))
    return "\n".join(text)


def coverage(count):
    used = {}
    for seed in range(1, count + 1):
        for op in re.findall(r"^\s+(?:%\w+ = )?([a-z][a-z0-9_]*)(?:\.\S+)?(?: |$)", program(seed), re.M):
            used[op] = used.get(op, 0) + 1
    return used


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--coverage":
        for op, n in sorted(coverage(int(sys.argv[2])).items()):
            print(f"{op:24} {n}")
    elif len(sys.argv) == 2:
        print(program(int(sys.argv[1])))
    else:
        print(__doc__)
        sys.exit(2)
