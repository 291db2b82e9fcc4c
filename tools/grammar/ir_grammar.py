#!/usr/bin/env python3
"""Writes the TextMate grammar of .ir texts, which editors use for colours (VS Code, Sublime Text, bat, GitHub).

    ir_grammar.py OPCODES.def BUILTIN_CLASSES.def SYNTAX.h OUT.json

Mnemonics, class names, types, flags and effects come from the tables that the parser itself is made of.
"""
import json
import pathlib
import re
import sys

# The words of the parser that are in no table; tests/system/grammar_test.py reads the parser's sources and compares.
ITEMS = ["module", "file", "native", "class", "interface", "func", "optimised", "field", "method", "init", "static"]
MODIFIERS = ["abstract", "final", "immutable", "volatile", "virtual", "extends", "implements", "handler", "entry", "locks",
             "outer", "slots", "point", "framestate", "fs"]
CONTROL = {"br", "br_if", "return", "throw", "switch", "unreachable"}


def alternatives(words):
    """One group that matches any of the words, whole: the longest first."""
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=lambda w: (-len(w), w))) + ")"


def word(words):
    return r"(?<![\w$.%@/])" + alternatives(words) + r"(?![\w$])"


def table(text, name):
    """The strings of an array of pairs in syntax.h."""
    return re.findall(r'\{"(\w+)"', re.search(name + r" = \{\{(.*?)\}\};", text, re.S).group(1))


def grammar(opcodes, builtins, syntax):
    suffixed = {m: s for m, s in re.findall(r'^JVMC_OP\(\w+, "([\w]+)", (\w+),', opcodes, re.M)}
    classes = re.findall(r"^JVMC_BUILTIN\((\w+),", builtins, re.M)
    types = table(syntax, "kPrimitiveNames")
    plain = [m for m, s in suffixed.items() if s == "None" and m not in CONTROL]
    typed = [m for m, s in suffixed.items() if s != "None"]
    calls = [m for m in plain if m.startswith("call") or m.startswith("thread_")]
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "jvmcluster IR",
        "scopeName": "source.jvmcluster.ir",
        "fileTypes": ["ir"],
        "patterns": [{"include": "#" + part} for part in (
            "comment", "string", "function", "local", "declaration", "class", "typed", "control", "call", "opcode", "item",
            "modifier", "type", "effect", "flag", "constant", "label", "number", "operator")],
        "repository": {
            "comment": {"name": "comment.line.double-slash.ir", "match": r"//.*$"},
            "string": {"name": "string.quoted.double.ir", "match": r'@?"(?:[^"\\]|\\.)*"'},
            "function": {"name": "entity.name.function.ir", "match": r"@[A-Za-z_$][\w$./]*"},
            "local": {"name": "variable.other.ir", "match": r"%[\w$.]+"},
            "declaration": {"match": r"(?<![\w$])(class|interface)\s+([A-Za-z_$][\w$./]*)",
                            "captures": {"1": {"name": "storage.type.ir"}, "2": {"name": "entity.name.type.ir"}}},
            "class": {"name": "support.class.ir", "match": word(classes)},
            "typed": {"match": r"(?<![\w$.%@/])(" + alternatives(typed) + r")(?:(\.)(" + "|".join(types) + r"|ref|array|null))?(?![\w$])",
                      "captures": {"1": {"name": "keyword.operator.word.ir"}, "3": {"name": "storage.type.primitive.ir"}}},
            "control": {"name": "keyword.control.ir", "match": word(CONTROL & set(suffixed))},
            "call": {"name": "keyword.other.call.ir", "match": word(calls)},
            "opcode": {"name": "keyword.operator.word.ir", "match": word([m for m in plain if m not in calls])},
            "item": {"name": "storage.type.ir", "match": word(ITEMS)},
            "modifier": {"name": "storage.modifier.ir", "match": word(MODIFIERS)},
            "type": {"name": "storage.type.primitive.ir", "match": word(types + ["ref", "array"])},
            "effect": {"name": "storage.modifier.effect.ir", "match": word(table(syntax, "kEffectNames"))},
            "flag": {"name": "storage.modifier.flag.ir", "match": word(table(syntax, "kFlagNames"))},
            "constant": {"name": "constant.language.ir", "match": word(["null", "none", "nan", "inf"])},
            "label": {"name": "entity.name.label.ir", "match": r"^[A-Za-z_$][\w$]*(?=\s*(?:\([^)]*\))?(?:\s+handler\b.*)?:)"},
            "number": {"name": "constant.numeric.ir",
                       "match": r"(?<![\w$.])-?(?:0[xX][0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?(?:[pP][-+]?\d+)?|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"},
            "operator": {"name": "punctuation.ir", "match": r"->|[=:,!#(){}\[\]]"},
        },
    }


def main():
    opcodes, builtins, syntax = (pathlib.Path(p).read_text() for p in sys.argv[1:4])
    out = pathlib.Path(sys.argv[4])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(grammar(opcodes, builtins, syntax), indent=2) + "\n")


if __name__ == "__main__":
    main()
