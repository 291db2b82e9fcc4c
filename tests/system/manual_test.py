#!/usr/bin/env python3
"""Help, man pages and completion of a tool: complete, correct, and accepted by what reads them.

    manual_test.py TOOL FOLDER [unittest arguments]

FOLDER is where the build has written the manual (man1, bash, zsh, fish).
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOL = FOLDER = None


def run(*words, **options):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60, **options)


def describe():
    result = run(TOOL, "help", "--describe")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def flags_of(*commands):
    """What takes a value (name -> True) and what does not."""
    return {name: bool(option["value"]) for command in commands for option in command["options"] for name in option["names"]}


class Help(unittest.TestCase):
    def setUp(self):
        self.tool = describe()
        self.commands = [self.tool] + self.tool["commands"]

    def test_every_command_has_examples_and_every_flag_a_description(self):
        missing = [" ".join(c["words"]) for c in self.commands if not c["examples"]]
        missing += [f"{' '.join(c['words'])}: {o['names'] or o['argument']}" for c in self.commands for o in c["options"]
                    if not o["description"]]
        self.assertEqual(missing, [], "these commands have no 'Examples:' in their footer, these flags no description")

    def test_examples_are_shown_and_use_only_flags_that_exist(self):
        wrong = []
        for command in self.commands:
            shown = run(TOOL, *command["words"][1:], "--help").stdout
            self.assertIn("Examples:\n", shown)
            for example in command["examples"]:
                self.assertIn(example, shown)
                wrong += [f"{example}: {problem}" for problem in self.problems(example)]
        self.assertEqual(wrong, [])

    def problems(self, example):
        """Of each command line of this tool in the example."""
        line = re.sub(r"<\(([^)]*)\)", r"; \1", example)
        line = re.sub(r"^(\w+=\S* )+", "", line)  # variables of the environment
        for part in re.split(r"[|;&<>]", re.split(r"\s#\s|\s{3,}", line)[0]):
            words = shlex.split(part)
            if words[:1] == self.tool["words"]:
                yield from self.problems_of(words[1:])

    def problems_of(self, words):
        command, known, skip, named = None, flags_of(self.tool), False, None
        for word in words:
            if skip:
                skip = False
            elif word.startswith("-") and word != "-":
                flag = word.split("=")[0]
                if flag not in known:
                    yield f"no flag {flag}"
                skip = known.get(flag, False) and "=" not in word
            elif command is None:
                named = word
                command = next((c for c in self.tool["commands"] if c["words"][-1] == word), None)
                if command is None:
                    return (yield f"no command {word}")
                known = flags_of(self.tool, command)
            elif any(o["argument"] == "PROG" for o in command["options"]):
                return  # the rest belongs to the program
        if named is None and not words:
            yield "no command"

    def test_help_and_the_help_command_say_the_same(self):
        for command in self.tool["commands"]:
            name = command["words"][-1]
            self.assertEqual(run(TOOL, "help", name).stdout, run(TOOL, name, "--help").stdout)
        self.assertEqual(run(TOOL, "help").stdout, run(TOOL, "--help").stdout)
        wrong = run(TOOL, "help", "nonsense")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("there is no command 'nonsense'", wrong.stderr)


class ManPages(unittest.TestCase):
    def setUp(self):
        self.tool = describe()
        self.pages = {"-".join(c["words"]): c for c in [self.tool] + self.tool["commands"]}

    def test_the_build_writes_a_page_for_each_command(self):
        for name, command in self.pages.items():
            page = (FOLDER / "man1" / f"{name}.1").read_text()
            text = page.replace("\\-", "-").replace("\\e", "\\")
            for option in command["options"]:
                for flag in option["names"]:
                    self.assertIn(f"\\fB{flag}\\fR", text)
            for example in command["examples"]:
                self.assertIn(example, text)
            self.assertNotIn(str(pathlib.Path.home()) + "/", text)

    def test_mandoc_has_nothing_to_say(self):
        if not shutil.which("mandoc"):
            self.skipTest("mandoc is not installed")
        result = run("mandoc", "-Tlint", "-Wwarning", *[FOLDER / "man1" / f"{name}.1" for name in self.pages])
        self.assertEqual(result.stdout + result.stderr, "")
        shown = run("mandoc", "-Tutf8", FOLDER / "man1" / f"{self.tool['words'][0]}.1").stdout
        self.assertIn("COMMANDS", re.sub(".\b", "", shown))

    def test_pages_carry_the_date_that_the_build_names(self):
        env = {**os.environ, "SOURCE_DATE_EPOCH": "86400"}
        page = run(TOOL, "help", "--man", env=env).stdout
        self.assertEqual(page, run(TOOL, "help", "--man", env=env).stdout)
        self.assertIn(" 1970-01-02 ", page.splitlines()[0])


class Completion(unittest.TestCase):
    """Each script is read by its shell; those of bash and fish are asked what they would offer."""

    def setUp(self):
        self.tool = describe()
        self.name = self.tool["words"][0]
        runtime = tempfile.TemporaryDirectory(prefix="jvmc-manual-")  # no programs but ours
        self.addCleanup(runtime.cleanup)
        self.path = {"PATH": f"{TOOL.parent}:/usr/bin:/bin", "HOME": "/nonexistent", "XDG_RUNTIME_DIR": runtime.name}

    def bash(self, line):
        """What bash offers for `line`, the cursor at its end."""
        script = f'source {shlex.quote(str(FOLDER / "bash" / self.name))}\n' + r'''
            [[ $(complete -p "$1") =~ -F\ ([^ ]+) ]] || exit 9
            COMP_LINE=$2 COMP_POINT=${#2}
            read -ra COMP_WORDS <<< "$2"; [[ $2 == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            ${BASH_REMATCH[1]} "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            printf '%s\n' "${COMPREPLY[@]}"'''
        result = run("bash", "--norc", "-c", script, "bash", self.name, line, env=self.path)
        self.assertEqual((result.returncode, result.stderr), (0, ""), line)
        return sorted(result.stdout.split())

    def test_bash_offers_commands_flags_and_values(self):
        commands = sorted(c["words"][-1] for c in self.tool["commands"])
        self.assertEqual(self.bash(f"{self.name} "), commands)
        self.assertEqual(self.bash(f"{self.name} --color never "), commands)
        for command in self.tool["commands"]:
            word = command["words"][-1]
            flags = set(flags_of(command)) | set(flags_of(self.tool))
            self.assertEqual(set(self.bash(f"{self.name} {word} -")), flags)
            for option in command["options"]:
                for flag in option["names"] if option["choices"] else ():
                    self.assertEqual(self.bash(f"{self.name} {word} {flag} "), sorted(option["choices"]))
                    if flag.startswith("--"):
                        self.assertEqual(self.bash(f"{self.name} {word} {flag}="), sorted(option["choices"]))

    def test_bash_offers_values_of_arguments(self):
        self.assertEqual(self.bash(f"{self.name} completion "), ["bash", "fish", "zsh"])
        self.assertEqual(self.bash(f"{self.name} completion --color never z"), ["zsh"])
        if self.name == "jvmcluster":
            self.assertEqual(self.bash("jvmcluster run --cluster 127.0.0.1:70 --mode "), ["auto", "interp", "jit"])
            self.assertEqual(self.bash("jvmcluster run program.ir "), [])
            self.assertEqual(self.bash("jvmcluster threads "), [])  # no program runs; bash then offers files
        else:
            self.assertEqual(self.bash("irc emit "), ["asm", "ir", "llvm"])

    def test_fish_offers_commands_flags_and_values(self):
        if not shutil.which("fish"):
            self.skipTest("fish is not installed")
        script = FOLDER / "fish" / f"{self.name}.fish"
        self.assertEqual(run("fish", "--no-config", "-n", script).stderr, "")

        def offers(line):
            result = run("fish", "--no-config", "-c", f"source {script}; complete -C '{line}'", env={**self.path, "HOME": "/tmp"})
            self.assertEqual(result.stderr, "")
            return {offer.split("\t")[0] for offer in result.stdout.splitlines()}

        self.assertLessEqual({c["words"][-1] for c in self.tool["commands"]}, offers(f"{self.name} "))
        for command in self.tool["commands"]:
            long = {f for f in flags_of(command) if f.startswith("--")}
            self.assertLessEqual(long, offers(f"{self.name} {command['words'][-1]} --"))
        self.assertEqual({"bash", "zsh", "fish"}, offers(f"{self.name} completion ") & {"bash", "zsh", "fish", "ps", "run"})

    def test_zsh_offers_flags_and_values(self):
        if not shutil.which("zsh"):
            self.skipTest("zsh is not installed")
        script = FOLDER / "zsh" / f"_{self.name}"
        self.assertEqual(run("zsh", "-f", "-n", script).stderr, "")
        # The function is asked inside a terminal of its own, as a user's keys would.
        driver = r'''
            zmodload zsh/zpty || exit 9
            zpty shell zsh -f -i
            zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; zstyle ':completion:*' list-colors ''"
            zpty -w shell "zstyle ':completion:*' menu no; setopt no_list_beep; LISTMAX=500; bindkey '^D' list-choices"
            # Before the line editor has the terminal, ^D would not be a key but the end of the input.
            zpty -w shell "zle-line-init() { print -n REA''DY }; zle -N zle-line-init"
            zpty -r shell answer '*READY*'
            zpty -w -n shell "$2"$'\x04'
            zpty -r -m shell answer "*$3*" && print -r -- found
            zpty -d shell'''

        def offers(line, expected):
            result = run("timeout", "20", "zsh", "-f", "-c", driver, "zsh", script.parent, line, expected)
            self.assertIn("found", result.stdout, f"zsh does not offer {expected} for {line!r}: {result.stderr}")

        offers(f"{self.name} ", "completion*help")
        offers(f"{self.name} completion ", "bash*fish*zsh")


if __name__ == "__main__":
    TOOL, FOLDER = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
