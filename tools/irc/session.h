// What all subcommands of irc share: the common flags, exit codes, where diagnostics go, and how inputs are read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/module.h"
#include "ir/text/diagnostics.h"
#include "ir/text/parser.h"

namespace jvmc::irc {

enum ExitCode : int {
  kOk = 0,
  kDiagnostics = 1,  ///< the program is not valid
  kUsage = 2,
  kIo = 3,  ///< a file cannot be read or written
  kInternal = 70,
};

struct CommonOptions {
  std::string color = "auto";
  bool json = false;
  size_t errorLimit = ir::text::DiagnosticSink::kDefaultLimit;
};

/// One module read from any number of inputs.
struct Program {
  std::unique_ptr<ir::Module> module;
  std::vector<ir::text::OptimisedBody> optimised;  ///< only from text
};

/// One run of a subcommand: collects diagnostics, shows them at the end, knows the exit code.
class Session {
 public:
  explicit Session(const CommonOptions& options);

  ir::text::SourceSet& sources() { return sources_; }
  ir::text::DiagnosticSink& sink() { return sink_; }

  /// Reads and verifies. Inputs are told apart by content: one stored module (.irm), or texts (.ir), which are joined.
  /// "-" is standard input. Nothing on failure, which is then in the sink.
  std::optional<Program> load(const std::vector<std::string>& paths);
  /// The bytes of a file, or of standard input for "-". Nothing on failure, which is then in the sink.
  std::optional<std::string> readInput(const std::string& path);
  /// A failure that belongs to no place in a program.
  void fail(ExitCode code, const std::string& path, const std::string& message);
  void fail(const std::string& path, const Error& error);

  /// Shows what was collected (text on standard error, JSON lines on standard output) and gives the exit code.
  int finish();

 private:
  std::optional<Program> loadTexts();
  std::optional<Program> loadStored(const std::string& path, const std::string& bytes);

  const CommonOptions& options_;
  ir::text::SourceSet sources_;
  ir::text::DiagnosticSink sink_;
  ExitCode failure_ = kDiagnostics;
};

/// Writes a file (in one step), or to standard output for "-" or "". False after reporting to `session`.
bool writeOutput(Session& session, const std::string& path, std::string_view text);

}  // namespace jvmc::irc
