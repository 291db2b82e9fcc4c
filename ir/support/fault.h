// Seeded faults: deliberate mistakes that prove the tests can fail. Compiled in only by the `faults` preset; there the
// environment variable JVMC_FAULT names the one that is on. Each has a row in tests/faults/faults.py: the test that
// must catch it. Only for .cpp files: CMake switches the faults on in those that include this header and in no others
// (docs/internals/seeded_faults.md).
//
//     if (!JVMC_FAULT("loop-without-a-poll")) instrs.push_back(std::move(poll));
#pragma once

#if JVMC_SEEDED_FAULTS
namespace jvmc {
/// True if JVMC_FAULT is set to `name`. Cheap enough for hot paths of a test build.
bool faultEnabled(const char* name);
}  // namespace jvmc
#define JVMC_FAULT(name) (::jvmc::faultEnabled(name))
#else
#define JVMC_FAULT(name) false
#endif
