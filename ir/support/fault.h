// Seeded faults: deliberate mistakes that prove the tests can fail. Compiled in only by the `faults` preset; there the
// environment variable JVMC_FAULT names the one that is on. Each has a row in tests/faults/faults.py: the test that
// must catch it.
//
//     if (JVMC_FAULT("resume-point-off-by-one")) ++point;
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
