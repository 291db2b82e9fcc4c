// Frames that wait for a socket to take them. Small ones are packed together, so that many leave with one system call;
// the payload of a large one is kept as it is and never copied, wherever it lies.
#pragma once

#include <deque>

#include "cluster/net/message_frame.h"

struct iovec;

namespace jvmc::cluster {

class SendQueue {
 public:
  static constexpr size_t kPackedPayloadBytes = 16 << 10;  ///< up to here payloads are copied
  static constexpr size_t kPackBytes = 64 << 10;

  void append(const FrameHeader& header, Payload payload);
  bool empty() const { return pieces_.empty(); }
  size_t bytes() const { return bytes_; }
  /// The first bytes, as at most `count` pieces; how many there are. Stops before one
  /// that is not ours and has `lentBytes`.
  int gather(iovec* pieces, int count, size_t lentBytes = SIZE_MAX) const;
  /// As gather(), of pieces that are not ours and have `lentBytes` each; 0: others come first.
  int gatherLent(iovec* pieces, int count, size_t lentBytes) const;
  /// The first `bytes` are gone.
  void drop(size_t bytes);
  void clear();
  void swap(SendQueue& other);

 private:
  struct Piece {
    Bytes own;
    std::span<const uint8_t> other;  // if it is not ours
    std::span<const uint8_t> bytes() const { return other.empty() ? std::span<const uint8_t>(own) : other; }
  };
  template <class Wanted>
  int gatherWhile(iovec* pieces, int count, Wanted wanted) const;
  Bytes& pack(size_t bytes);

  std::deque<Piece> pieces_;
  Bytes spare_;  // memory for the next pack
  bool lastIsPack_ = false;
  size_t head_ = 0;  // bytes of the first piece that are gone
  size_t bytes_ = 0;
};

}  // namespace jvmc::cluster
