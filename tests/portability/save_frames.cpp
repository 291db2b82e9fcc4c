// save_frames PROGRAM.irm IMAGE K: runs the program compiled, and at about its K-th poll writes the thread to a file.
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "ir/binary/reader.h"
#include "jit/compiler.h"
#include "runtime/frames/codec.h"
#include "tests/portability/frame_node.h"

using namespace jvmc;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  auto module = ir::openModule(argv[1]);
  JVMC_CHECK(module.ok(), module.error().message);
  rt::VmOptions options;
  options.mode = rt::RunMode::Jit;
  options.zeal.migrateEvery = uint64_t(std::atoll(argv[3]));
  portability::FrameNode node(**module, options, jit::makeJit);
  node.vm().startMain();
  int32_t exitCode = 0;
  std::unique_ptr<rt::GuestThread> thread = node.await(exitCode);
  JVMC_CHECK(thread, "the program ended before its thread was captured");
  std::vector<uint8_t> image = rt::encodeThread(node.vm().functionInfos(), *thread);
  std::ofstream(argv[2], std::ios::binary).write(reinterpret_cast<const char*>(image.data()), ptrdiff_t(image.size()));
  std::printf("saved %zu frames, %llu of them of compiled code, innermost %s at point %u\n", thread->frames.depth(),
              static_cast<unsigned long long>(thread->stats.capturedCompiledFrames),
              (**module)[ir::FunctionId(thread->frames.top().function)].name.c_str(), thread->frames.top().resumePoint);
  return 0;
}
