#include "tests/unit/runtime/support/program.h"

#include <gtest/gtest.h>

#include "ir/text/parser.h"
#include "runtime/natives/native_table.h"

namespace jvmc::rt::test {
namespace {

/// Prints into a string; everything is answered at once, on the calling thread.
class RecordingOutside final : public OutsideWorld {
 public:
  RecordingOutside(Scheduler& scheduler, std::string& out, std::mutex& mutex)
      : scheduler_(scheduler), out_(out), mutex_(mutex) {}

  void call(OutsideCall call) override {
    OutsideResult result;
    if (call.native == "io.print") {
      std::scoped_lock lock(mutex_);
      out_ += call.bytes[0];
    } else if (call.native == "io.read_file") {
      if (call.bytes[0] == "missing") {
        result.kind = OutsideResult::Kind::IoError;
        result.bytes = "no such file: missing";
      } else {
        result.kind = OutsideResult::Kind::Bytes;
        result.bytes = "content of " + call.bytes[0];
      }
    } else if (call.native == "program.exit") {
      exit(int32_t(call.scalars[0]));
      return;
    }
    scheduler_.completeOutside(call.thread, call.ticket, std::move(result));
  }

  std::function<void(int32_t)> exit;

 private:
  Scheduler& scheduler_;
  std::string& out_;
  std::mutex& mutex_;
};

}  // namespace

VmOptions interpreted() {
  VmOptions options;
  options.mode = RunMode::Interp;
  options.heap.limitBytes = 256u << 20;
  return options;
}

std::unique_ptr<ir::Module> parseProgram(const std::string& text) {
  ir::text::SourceSet sources;
  sources.add("test.ir", text);
  ir::text::DiagnosticSink sink;
  auto parsed = ir::text::parseModule(sources, sink);
  bool valid = parsed.has_value() && ir::text::checkModule(*parsed, sink);
  JVMC_CHECK(valid, ir::text::renderDiagnostics(sources, sink, false));
  return std::move(parsed->module);
}

Outcome runProgram(const std::string& text, VmOptions options, const std::function<void(Vm&)>& beforeRun,
                   const std::function<void(Vm&)>& afterRun) {
  std::unique_ptr<ir::Module> module = parseProgram(text);
  Status natives = checkNatives(*module);
  JVMC_CHECK(natives.ok(), natives.error().message);
  Outcome outcome;
  std::mutex mutex;
  RecordingOutside* outside = nullptr;
  auto node = LocalNode::create(
      *module, std::move(options), {},
      [&](Scheduler& scheduler) {
        auto made = std::make_unique<RecordingOutside>(scheduler, outcome.out, mutex);
        outside = made.get();
        return made;
      },
      [&](const std::string& report) {
        std::scoped_lock lock(mutex);
        outcome.reports += report + "\n";
      });
  outside->exit = [&](int32_t code) { node->requestExit(code); };
  if (beforeRun) beforeRun(node->vm());
  outcome.exitCode = node->run().exitCode;
  if (afterRun) afterRun(node->vm());
  node.reset();
  return outcome;
}

std::string evaluate(const std::string& type, const std::string& lines, const std::string& items) {
  std::string convert = type == "i32"   ? "  %w = i32_to_i64 %r\n  %t = call_native @bytes.from_i64(%w)\n"
                        : type == "f32" ? "  %w = f32_to_f64 %r\n  %t = call_native @bytes.from_f64(%w)\n"
                        : type == "i64" ? "  %t = call_native @bytes.from_i64(%r)\n"
                                        : "  %t = call_native @bytes.from_f64(%r)\n";
  std::string text =
      "native @io.print(array(i8)) outside\nnative @bytes.from_i64(i64) -> array(i8) node\n"
      "native @bytes.from_f64(f64) -> array(i8) node\n" +
      items + "func @main() {\n" + lines + convert + "  call_native @io.print(%t)\n  return\n}\n";
  Outcome outcome = runProgram(text, interpreted());
  return outcome.out + outcome.reports;
}

}  // namespace jvmc::rt::test
