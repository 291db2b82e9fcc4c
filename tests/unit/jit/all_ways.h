// Runs a function plainly and with captures, and compares.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/jit/fake_runtime.h"

namespace jvmc::jit::test {

/// The plain outcome; captured at every, every second and every third safepoint it must be the same.
inline Outcome runAllWays(FakeRuntime& vm, const std::string& function, std::vector<uint64_t> arguments = {}) {
  vm.captureEvery = 0;
  Outcome plain = vm.run(function, arguments);
  for (uint64_t k : {1, 2, 3}) {
    vm.captureEvery = k;
    Outcome captured = vm.run(function, arguments);
    EXPECT_EQ(captured.exception, plain.exception) << function << " captured every " << k;
    if (plain.exception.empty()) {
      EXPECT_EQ(captured.bits, plain.bits) << function << " captured every " << k;
    }
  }
  return plain;
}

}  // namespace jvmc::jit::test
