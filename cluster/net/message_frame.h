// How messages between nodes lie on a socket: a header of fixed size, then the payload. Little-endian.
//
//     0        4      5         6         8              16       20       24
//     +--------+------+---------+---------+--------------+--------+--------+-----------
//     | length | kind | channel | "JM"    | id           | view   | number | payload ...
//     +--------+------+---------+---------+--------------+--------+--------+-----------
//
// `length` counts the payload. `id` joins a Request with its Reply or Fail and belongs to whoever asked; 0 for Notify.
// `number` counts the frames of a connection in one direction, from 0 and around: each is handled once, whatever lies
// below. The two letters tell a stream that has lost its step from one that has not. The first frame that breaks a rule
// ends the connection: nothing after it can be trusted.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "cluster/net/node_net.h"
#include "cluster/net/spare_bytes.h"

namespace jvmc::cluster {

/// Numbers are part of the wire format.
enum class FrameKind : uint8_t {
  Request = 1,
  Reply = 2,
  Fail = 3,  ///< payload: u32 ErrorCode, words
  Notify = 4,
};

inline constexpr size_t kFrameHeaderBytes = 24;

struct FrameHeader {
  uint32_t payloadBytes = 0;
  FrameKind kind = FrameKind::Notify;
  Channel channel = Channel::Objects;
  uint64_t id = 0;
  uint32_t view = 0;
  uint32_t number = 0;
};

struct Frame {
  FrameHeader header;
  Bytes payload;
};

void encodeFrameHeader(const FrameHeader& header, uint8_t* out);
/// Why these bytes are no header of a frame with at most `payloadBytesMax` bytes of payload; empty if they are one.
std::string decodeFrameHeader(std::span<const uint8_t, kFrameHeaderBytes> bytes, size_t payloadBytesMax,
                              FrameHeader& header);

Bytes encodeFail(const Error& error);
/// nullopt: it makes no sense.
std::optional<Error> decodeFail(std::span<const uint8_t> payload);

/// One direction of one connection, where frames arrive: which of them are to be handled. TCP neither repeats nor loses
/// anything, so the product sees Next alone; that each message counts once does not rest on that.
class FrameOrder {
 public:
  enum class Verdict : uint8_t {
    Next,   ///< to be handled
    Again,  ///< it has been handled before: to be dropped
    Gap,    ///< others are missing: the connection is broken
  };
  Verdict take(uint32_t number) {
    // Numbers go around; what is behind is an old one, not one of the far future.
    const auto ahead = int32_t(number - next_);
    if (ahead != 0) return ahead < 0 ? Verdict::Again : Verdict::Gap;
    ++next_;
    return Verdict::Next;
  }

 private:
  uint32_t next_ = 0;
};

/// Cuts a stream into frames, however it arrives. The caller reads from the socket into room(), tells filled(), and
/// takes next() until there is none. Small frames are copied from the read-ahead; the payload of a large one is read
/// into its place, and memory is taken as it arrives, not as the header promises.
class FrameReader {
 public:
  static constexpr size_t kReadAheadBytes = 128 << 10;
  static constexpr size_t kDirectBytes = kReadAheadBytes / 2;  ///< larger payloads are read into their place
  static constexpr size_t kPieceBytes = 256 << 10;             ///< at most so much of them at a time

  /// `spare`: where memory for large payloads comes from, if there is any. Must outlive the reader.
  explicit FrameReader(size_t payloadBytesMax, SpareBytes* spare = nullptr);

  /// Never empty.
  std::span<uint8_t> room();
  void filled(size_t bytes);
  /// The next frame that is complete. None: read more, unless problem() says that the stream is broken.
  std::optional<Frame> next();
  const std::string& problem() const { return problem_; }

 private:
  void startDirect(const FrameHeader& header);

  size_t payloadBytesMax_;
  SpareBytes* spare_;
  Bytes buffer_;
  size_t from_ = 0, to_ = 0;  // what has arrived of buffer_
  bool direct_ = false;       // large_ is on its way
  Frame large_;
  size_t largeArrived_ = 0;
  std::string problem_;
};

}  // namespace jvmc::cluster
