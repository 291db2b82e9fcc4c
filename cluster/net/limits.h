// Limits on everything that arrives from a connection. A peer that exceeds one is cut off with a log line.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jvmc::cluster {

/// Version of the whole wire format (schema/*.capnp and the payload codecs).
inline constexpr uint32_t kWireVersion = 1;

inline constexpr size_t kMaxHelloBytes = 4096;
inline constexpr int64_t kHelloNanos = 5'000'000'000;  ///< time to greet
inline constexpr size_t kMaxPendingHellos = 64;

/// One RPC message, payload included. Larger things are sent in pieces.
inline constexpr size_t kMaxMessageBytes = size_t(64) << 20;
inline constexpr size_t kMaxPayloadBytes = kMaxMessageBytes - 4096;
inline constexpr uint32_t kMaxSegments = 512;

}  // namespace jvmc::cluster
