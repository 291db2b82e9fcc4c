// Runs a whole program in text form on a node alone and gives what it printed: the fixture of interpreter, frame and
// helper tests.
#pragma once

#include <functional>
#include <string>

#include "runtime/local_node.h"

namespace jvmc::rt::test {

struct Outcome {
  std::string out;      ///< io.print
  std::string reports;  ///< uncaught exceptions
  int32_t exitCode = 0;
};

/// Parses, verifies, runs. Fails the test (and gives nothing) if the text is not a valid program.
Outcome runProgram(const std::string& text, VmOptions options = {}, const std::function<void(Vm&)>& beforeRun = {},
                   const std::function<void(Vm&)>& afterRun = {});

/// Options for the interpreter alone with few workers.
VmOptions interpreted();

/// A module from text; aborts with the diagnostics if it is not valid.
std::unique_ptr<ir::Module> parseProgram(const std::string& text);

/// `expression` lines that compute %r (a type), printed by a generated main: "5".
std::string evaluate(const std::string& type, const std::string& lines, const std::string& items = "");

}  // namespace jvmc::rt::test
