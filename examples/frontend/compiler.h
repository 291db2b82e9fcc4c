// Sprout: a small language with threads, as an example of a front end (docs/howto/write_a_front_end.md walks through
// it).
//
//     program   = { "shared" NAME ";" | function }
//     function  = "fun" NAME "(" [ NAME { "," NAME } ] ")" block
//     block     = "{" { statement } "}"
//     statement = "var" NAME "=" expr ";" | NAME "=" expr ";" | NAME "+=" expr ";"
//               | "if" "(" expr ")" block [ "else" block ] | "while" "(" expr ")" block
//               | "return" [ expr ] ";" | "print" expr ";" | "spawn" NAME "(" args ")" ";" | "wait" ";" | expr ";"
//     expr      = comparison of sums of products of numbers, names, calls and parentheses
//
// Every value is a 64-bit integer. `shared` names are counters that all threads see, read and added to atomically.
// `spawn` starts a thread; `wait` waits for the threads that this function has spawned.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ir/module.h"

namespace sprout {

struct CompileError {
  std::string message;
  uint32_t line = 0, column = 0;  ///< from 1
};

/// The module of a program, or the first error. `fileName` is recorded for diagnostics and stack traces.
struct CompileResult {
  std::unique_ptr<jvmc::ir::Module> module;  ///< null if there was an error
  CompileError error;
};

CompileResult compile(const std::string& source, const std::string& fileName);

}  // namespace sprout
