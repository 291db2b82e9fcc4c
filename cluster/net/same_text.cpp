#include "cluster/net/same_text.h"

#include <openssl/crypto.h>

namespace jvmc::cluster {

bool sameText(std::string_view expected, std::string_view given) {
  return given.size() == expected.size() && CRYPTO_memcmp(expected.data(), given.data(), expected.size()) == 0;
}

}  // namespace jvmc::cluster
