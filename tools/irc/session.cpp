#include "tools/irc/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <span>

#include "ir/binary/reader.h"
#include "ir/support/write_file.h"
#include "tools/common/command_line.h"

namespace jvmc::irc {

using ir::text::Code;
using ir::text::SourceSet;

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

/// By content; an empty or damaged file that calls itself .irm must not pass for an empty text.
bool isStoredModule(const std::string& path, std::string_view bytes) {
  return bytes.starts_with("JVMC-IRM") || path.ends_with(".irm");
}

ExitCode exitCodeOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kIo:
    case ErrorCode::kNotFound:
      return kIo;
    case ErrorCode::kInternal:
      return kInternal;
    default:
      return kDiagnostics;
  }
}

}  // namespace

Session::Session(const CommonOptions& options) : options_(options), sink_(options.errorLimit) {}

std::optional<std::string> Session::readInput(const std::string& path) {
  std::unique_ptr<std::FILE, CloseFile> file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  std::string bytes;
  char buffer[1 << 16];
  errno = file ? 0 : errno;
  for (size_t n; file && (n = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    bytes.append(buffer, n);
    if (bytes.size() > SourceSet::kMaxSourceBytes) {
      fail(kIo, path, fmt::format("larger than {} bytes", SourceSet::kMaxSourceBytes));
      return std::nullopt;
    }
  }
  if (file && !std::ferror(file.get())) return bytes;
  fail(kIo, path, std::strerror(errno));
  return std::nullopt;
}

std::optional<Program> Session::load(const std::vector<std::string>& paths) {
  std::optional<std::string> stored;
  for (const std::string& path : paths) {
    std::optional<std::string> bytes = readInput(path);
    if (!bytes) continue;
    if (!isStoredModule(path, *bytes)) {
      sources_.add(path == "-" ? "<stdin>" : path, std::move(*bytes));
      continue;
    }
    if (paths.size() > 1) {
      fail(kDiagnostics, path, "a stored module cannot be joined with other inputs");
      continue;
    }
    stored = std::move(bytes);
  }
  if (sink_.hasErrors()) return std::nullopt;
  return stored ? loadStored(paths[0], *stored) : loadTexts();
}

std::optional<Program> Session::loadTexts() {
  std::optional<ir::text::ParsedModule> parsed = ir::text::parseModule(sources_, sink_);
  if (!parsed || !ir::text::checkModule(*parsed, sink_)) return std::nullopt;
  return Program{std::move(parsed->module), std::move(parsed->optimised)};
}

std::optional<Program> Session::loadStored(const std::string& path, const std::string& bytes) {
  auto data = reinterpret_cast<const uint8_t*>(bytes.data());
  Result<std::unique_ptr<ir::Module>> module = ir::openModuleBytes({data, bytes.size()});
  if (!module.ok()) {
    fail(path, module.error());
    return std::nullopt;
  }
  std::vector<ir::VerifyError> errors = ir::verifyModule(**module);
  for (const ir::VerifyError& error : errors) sink_.add(ir::text::describeError(**module, error, path));
  if (!errors.empty()) return std::nullopt;
  return Program{std::move(*module), {}};
}

void Session::fail(ExitCode code, const std::string& path, const std::string& message) {
  failure_ = std::max(failure_, code);
  Code kind = code == kDiagnostics ? Code::BadModule : Code::Unreadable;
  sink_.add({.code = kind, .message = message, .place = path == "-" ? "<stdin>" : path});
}

void Session::fail(const std::string& path, const Error& error) {
  fail(exitCodeOf(error.code), path, error.message);
}

int Session::finish() {
  if (!options_.json) {
    std::cerr << ir::text::renderDiagnostics(sources_, sink_, tools::useColor(options_.color, STDERR_FILENO));
  } else {
    for (const ir::text::Diagnostic& d : sink_.sorted()) std::cout << ir::text::diagnosticJson(sources_, d);
  }
  std::cout.flush();
  return sink_.hasErrors() ? failure_ : kOk;
}

bool writeOutput(Session& session, const std::string& path, std::string_view text) {
  if (!path.empty() && path != "-") {
    Status written = writeFile(path, text);
    if (!written.ok()) session.fail(path, written.error());
    return written.ok();
  }
  bool ok = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!ok) session.fail(kIo, "<stdout>", std::strerror(errno));
  return ok;
}

}  // namespace jvmc::irc
