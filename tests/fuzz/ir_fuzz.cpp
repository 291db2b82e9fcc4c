// libFuzzer harness for the text form. Build with the `fuzz` preset, then
//     build/fuzz/bin/ir_fuzz -max_len=4096 -dict=tests/fuzz/ir.dict CORPUS_DIR tests/golden/parse
#include "tests/fuzz/ir_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  jvmc::ir::test::useText(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
