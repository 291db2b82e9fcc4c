#include "tools/jvmcluster/load_program.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "cluster/launch/program_run.h"
#include "ir/binary/reader.h"
#include "ir/binary/writer.h"
#include "ir/text/parser.h"
#include "runtime/natives/native_table.h"

namespace jvmc::tool {

namespace {

using cluster::kExitCannotInvoke;
using cluster::kExitNotFound;

LoadedProgram failed(int exitCode, const std::string& path, const std::string& why) {
  return {{}, exitCode, fmt::format("jvmcluster: error: {}: {}\n", path, why)};
}

/// The declarations' natives exist, and there is something to start.
Status checkRunnable(const ir::Module& module) {
  if (!module.entry.valid()) return Error{ErrorCode::kInvalidInput, "the program has no function @main"};
  return rt::checkNatives(module);
}

LoadedProgram loadText(const std::string& path, std::string text, bool color) {
  ir::text::SourceSet sources;
  sources.add(path, std::move(text));
  ir::text::DiagnosticSink sink;
  auto parsed = ir::text::parseModule(sources, sink);
  if (!parsed || !ir::text::checkModule(*parsed, sink))
    return {{}, kExitCannotInvoke, ir::text::renderDiagnostics(sources, sink, color)};
  if (auto runnable = checkRunnable(*parsed->module); !runnable.ok())
    return failed(kExitCannotInvoke, path, runnable.error().message);
  auto bytes = ir::writeModuleBytes(*parsed->module);
  if (!bytes.ok()) return failed(kExitCannotInvoke, path, bytes.error().message);
  return {std::move(*bytes), 0, ""};
}

LoadedProgram loadStored(const std::string& path, const std::string& text) {
  std::vector<uint8_t> bytes(text.begin(), text.end());
  auto module = ir::openModuleBytes(bytes);
  if (!module.ok()) return failed(kExitCannotInvoke, path, module.error().message);
  if (auto runnable = checkRunnable(**module); !runnable.ok())
    return failed(kExitCannotInvoke, path, runnable.error().message);
  return {std::move(bytes), 0, ""};
}

}  // namespace

LoadedProgram loadProgram(const std::string& path, bool color) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return failed(errno == ENOENT ? kExitNotFound : kExitCannotInvoke, path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return failed(kExitCannotInvoke, path, "is a folder");
  std::ifstream file(path, std::ios::binary);
  std::string text;
  for (std::vector<char> chunk(1 << 20); file.read(chunk.data(), std::streamsize(chunk.size())), file.gcount() > 0;) {
    text.append(chunk.data(), size_t(file.gcount()));
    if (text.size() > ir::text::SourceSet::kMaxSourceBytes)
      return failed(kExitCannotInvoke, path, fmt::format("larger than {} bytes", ir::text::SourceSet::kMaxSourceBytes));
  }
  if (!file.eof()) return failed(kExitCannotInvoke, path, "cannot be read");
  // An empty or damaged file that calls itself .irm must not pass for an empty text.
  if (text.starts_with("JVMC-IRM") || path.ends_with(".irm")) return loadStored(path, text);
  return loadText(path, std::move(text), color);
}

}  // namespace jvmc::tool
