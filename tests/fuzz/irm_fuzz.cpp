// libFuzzer harness for the binary module format. Build with the `fuzz` preset, then
//     build/fuzz/bin/irm_fuzz -max_len=8192 CORPUS_DIR
// with tests/unit/ir/binary/golden/ as a first corpus. The first byte chooses whether the input is a whole file or only
// the content behind a good header.
#include "tests/fuzz/irm_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::span<const uint8_t> input(data + 1, size - 1);
  if (data[0] % 2 == 0)
    jvmc::ir::test::useModuleFile(input);
  else
    jvmc::ir::test::useModuleFile(jvmc::ir::test::withHeader(input));
  return 0;
}
