// Limits on everything that arrives from a connection. A peer that exceeds one is cut off with a log line.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jvmc::cluster {

/// Version of the whole wire format (schema/*.capnp, the frames between nodes and the payload codecs).
inline constexpr uint32_t kWireVersion = 10;

inline constexpr size_t kMaxHelloBytes = 4096;
inline constexpr int64_t kHelloNanos = 5'000'000'000;  ///< time to greet
inline constexpr size_t kMaxPendingHellos = 64;

/// One RPC message.
inline constexpr size_t kMaxMessageBytes = size_t(64) << 20;
inline constexpr uint32_t kMaxSegments = 512;

/// Payload of one message between nodes: on the small link, and on the bulk link (so of any message).
inline constexpr size_t kSmallPayloadBytesMax = size_t(64) << 10;
inline constexpr size_t kPayloadBytesMax = size_t(1) << 30;
/// Words of a refusal; longer ones are cut.
inline constexpr size_t kFailTextBytesMax = 4096;

/// What a node may have asked of a peer without having an answer: payloads, and so much for each request beside them. A
/// single request may be larger. What exceeds the window waits at the sender.
inline constexpr size_t kWindowBytes = size_t(64) << 20;
inline constexpr size_t kWindowBytesPerRequest = 256;
/// While more bytes than these wait on a link for a peer to take them, its requests wait too. On the bulk link a
/// message of some hundred MiB is no reason to let small requests wait.
inline constexpr size_t kUntakenSmallBytesMax = size_t(16) << 20;
inline constexpr size_t kUntakenBulkBytesMax = size_t(256) << 20;

}  // namespace jvmc::cluster
