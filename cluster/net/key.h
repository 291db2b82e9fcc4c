// The cluster key: 32 random bytes that every process of a cluster can read and nobody else. Proofs are HMAC-SHA256.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ir/support/result.h"

namespace jvmc::cluster {

using Nonce = std::array<uint8_t, 32>;
using Proof = std::array<uint8_t, 32>;

Nonce randomNonce();

class ClusterKey {
 public:
  static ClusterKey random();
  /// Reads a key file: 64 hexadecimal digits. Refuses a file that others may read or write, or that another user owns.
  static Result<ClusterKey> read(const std::string& path);
  /// Reads the file, or makes it (mode 0600, its folder 0700) if there is none. Two processes may race: one key wins.
  static Result<ClusterKey> readOrCreate(const std::string& path);
  Status write(const std::string& path) const;

  /// HMAC over the label and the parts. Each part's length is hashed too, so parts cannot be shifted into each other.
  Proof prove(std::string_view label, std::initializer_list<std::span<const uint8_t>> parts) const;
  friend bool operator==(const ClusterKey&, const ClusterKey&) = default;

 private:
  std::array<uint8_t, 32> bytes_{};
};

/// In constant time.
bool sameProof(const Proof& expected, std::span<const uint8_t> given);

/// $JVMC_KEY_FILE, or key in $XDG_CONFIG_HOME/jvmcluster, or in ~/.config/jvmcluster.
std::string defaultKeyPath();

}  // namespace jvmc::cluster
