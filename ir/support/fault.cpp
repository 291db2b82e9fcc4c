#include "ir/support/fault.h"

#if JVMC_SEEDED_FAULTS
#include <cstdlib>
#include <cstring>

namespace jvmc {

bool faultEnabled(const char* name) {
  static const char* const enabled = std::getenv("JVMC_FAULT");
  return enabled != nullptr && std::strcmp(enabled, name) == 0;
}

}  // namespace jvmc
#endif
