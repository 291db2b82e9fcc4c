// resume_frames PROGRAM.irm IMAGE: lets the thread of the file go on here, in the interpreter.
#include <fstream>
#include <iterator>

#include "ir/binary/reader.h"
#include "runtime/abi/guest_memory.h"
#include "runtime/frames/codec.h"
#include "tests/portability/frame_node.h"

using namespace jvmc;

namespace {

/// The thread's object stayed where the thread was captured: another one stands for it here.
rt::ObjectRef makeThreadObject(rt::Vm& vm, rt::ThreadId id) {
  rt::World::GuestAccess access(vm.world());
  const rt::ClassLayout& layout = vm.layout()[ir::builtin::kThread];
  rt::ObjectRef object =
      vm.heap().allocateDetached(vm.layout().classIndex(ir::builtin::kThread), layout.instanceBytes, 0);
  rt::storeGuest<uint64_t>(object + layout.fields[ir::builtin::kThreadId].offset, id);
  rt::storeGuest<uint32_t>(object + layout.fields[ir::builtin::kThreadState].offset, 1);
  return object;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  auto module = ir::openModule(argv[1]);
  JVMC_CHECK(module.ok(), module.error().message);
  std::ifstream file(argv[2], std::ios::binary);
  std::vector<uint8_t> image((std::istreambuf_iterator<char>(file)), {});
  rt::VmOptions options;
  options.mode = rt::RunMode::Interp;
  portability::FrameNode node(**module, options, {});
  auto decoded = rt::decodeThread(node.vm().functionInfos(), image, [](rt::ObjectRef) { return true; });
  JVMC_CHECK(decoded.ok(), decoded.error().message);
  std::unique_ptr<rt::GuestThread> thread = std::move(*decoded);
  rt::ObjectRef elsewhere = std::exchange(thread->ref.object, rt::kNullRef);
  rt::visitThreadReferences(node.vm().functionInfos(), *thread,
                            [&](rt::ObjectRef ref) { JVMC_CHECK(ref == elsewhere, "the frames hold an object", ref); });
  thread->ref.object = makeThreadObject(node.vm(), thread->ref.id);
  thread->epoch = node.vm().clock().load();
  node.vm().scheduler().adopt(std::move(thread));
  int32_t exitCode = 0;
  node.await(exitCode);
  return exitCode;
}
