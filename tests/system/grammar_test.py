#!/usr/bin/env python3
"""The TextMate grammar of .ir: it is valid, its expressions compile, and it knows each word that the parser knows.

    grammar_test.py GRAMMAR.json SOURCE_FOLDER [unittest arguments]
"""
import json
import pathlib
import re
import sys
import unittest

GRAMMAR = ROOT = None


class Scanner:
    """What an editor does with the grammar, for patterns that each match within a line: the leftmost match wins, and of
    several at one place the first of the list."""

    def __init__(self, grammar):
        self.rules = []
        for pattern in grammar["patterns"]:
            rule = grammar["repository"][pattern["include"][1:]]
            self.rules.append((re.compile(rule["match"]), rule))

    def scopes(self, line):
        """(text, scope) of each part of the line that has a scope."""
        found, at = [], 0
        while at < len(line):
            matches = [(m.start(), i, m) for i, (regex, _) in enumerate(self.rules) if (m := regex.search(line, at))]
            if not matches:
                return found
            _, index, match = min(matches, key=lambda entry: entry[:2])
            rule = self.rules[index][1]
            if "name" in rule:
                found.append((match.group(), rule["name"]))
            for number, capture in rule.get("captures", {}).items():
                if match.group(int(number)):
                    found.append((match.group(int(number)), capture["name"]))
            assert match.end() > at or match.end() > match.start(), f"an empty match in {line!r}"
            at = match.end()
        return found


class Grammar(unittest.TestCase):
    def setUp(self):
        self.grammar = json.loads(GRAMMAR.read_text())
        self.scanner = Scanner(self.grammar)

    def scope_of(self, word, line):
        return next((scope for text, scope in self.scanner.scopes(line) if text == word), None)

    def test_names_what_editors_ask_for(self):
        self.assertEqual(self.grammar["scopeName"], "source.jvmcluster.ir")
        self.assertEqual(self.grammar["fileTypes"], ["ir"])
        for rule in self.grammar["repository"].values():
            self.assertTrue("name" in rule or "captures" in rule)
        self.assertEqual({p["include"][1:] for p in self.grammar["patterns"]}, set(self.grammar["repository"]))

    def test_every_instruction_is_a_keyword_wherever_it_may_stand(self):
        rows = re.findall(r'^JVMC_OP\(\w+, "(\w+)", (\w+),', (ROOT / "ir/opcodes.def").read_text(), re.M)
        self.assertGreater(len(rows), 80)
        for mnemonic, suffix in rows:
            for line in (f"  {mnemonic} %a", f"  %r = {mnemonic} %a", f"  {mnemonic}"):
                self.assertRegex(self.scope_of(mnemonic, line) or "none", "^keyword", line)
            if suffix != "None":
                scopes = self.scanner.scopes(f"  %r = {mnemonic}.i32 %a, 5")
                self.assertIn(("i32", "storage.type.primitive.ir"), scopes, mnemonic)

    def test_every_word_of_the_parser_has_a_scope(self):
        words = set()
        for source in (ROOT / "ir/text").glob("*.cpp"):
            words |= set(re.findall(r'(?:acceptWord|atWord)\("(\w+)"\)', source.read_text()))
        syntax = (ROOT / "ir/text/syntax.h").read_text()
        words |= set(re.findall(r'\{"(\w+)",', syntax))
        words |= {"array", "ref", "null", "extends", "implements", "final", "volatile", "static"}
        self.assertGreater(len(words), 25)
        missing = [w for w in sorted(words) if not self.scope_of(w, f"  {w} x")]
        self.assertEqual(missing, [], "add them to tools/grammar/ir_grammar.py")

    def test_words_inside_names_are_no_keywords(self):
        for line in ("  call @add.i32(%new)", "  %add = load_field %ref, Class.add"):
            for text, scope in self.scanner.scopes(line):
                self.assertFalse(text in ("add", "new", "ref") and scope.startswith("keyword"), (line, text, scope))
        self.assertEqual(self.scanner.scopes("// add.i32 \"x\""), [("// add.i32 \"x\"", "comment.line.double-slash.ir")])
        self.assertEqual(self.scope_of('"a \\" add"', '  %t = new_bytes "a \\" add"'), "string.quoted.double.ir")

    def test_all_examples_are_coloured(self):
        """Each statement of each example begins with something that has a scope."""
        bare = []
        for path in sorted((ROOT / "examples").glob("*.ir")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if line.strip() and not self.scanner.scopes(line):
                    bare.append(f"{path.name}:{number}: {line}")
        self.assertEqual(bare, [])
        self.assertEqual(self.scope_of("loop", "loop(%i: i32):"), "entity.name.label.ir")
        self.assertEqual(self.scope_of("done", "done:"), "entity.name.label.ir")


if __name__ == "__main__":
    GRAMMAR, ROOT = (pathlib.Path(p) for p in sys.argv[1:3])
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
