#include "cluster/net/send_queue.h"

#include <sys/uio.h>

#include <utility>

namespace jvmc::cluster {

/// A piece that small frames are packed into, with room for `bytes`.
Bytes& SendQueue::pack(size_t bytes) {
  if (!lastIsPack_ || pieces_.back().size() + bytes > kPackBytes) {
    pieces_.push_back(std::exchange(spare_, {}));
    lastIsPack_ = true;
  }
  return pieces_.back();
}

void SendQueue::append(const FrameHeader& header, Bytes payload) {
  const bool packed = payload.size() <= kPackedPayloadBytes;
  Bytes& into = pack(kFrameHeaderBytes + (packed ? payload.size() : 0));
  const size_t at = into.size();
  into.resize(at + kFrameHeaderBytes);
  encodeFrameHeader(header, into.data() + at);
  bytes_ += kFrameHeaderBytes + payload.size();
  if (packed) {
    into.insert(into.end(), payload.begin(), payload.end());
    return;
  }
  pieces_.push_back(std::move(payload));
  lastIsPack_ = false;
}

int SendQueue::gather(iovec* pieces, int count) const {
  int used = 0;
  for (const Bytes& piece : pieces_) {
    if (used == count) break;
    const size_t gone = used == 0 ? head_ : 0;
    pieces[used++] = {const_cast<uint8_t*>(piece.data()) + gone, piece.size() - gone};
  }
  return used;
}

void SendQueue::drop(size_t bytes) {
  bytes_ -= bytes;
  head_ += bytes;
  while (!pieces_.empty() && head_ >= pieces_.front().size()) {
    head_ -= pieces_.front().size();
    if (pieces_.front().capacity() <= 2 * kPackBytes) spare_ = std::move(pieces_.front());
    spare_.clear();
    pieces_.pop_front();
  }
  if (pieces_.empty()) lastIsPack_ = false;
}

void SendQueue::clear() {
  SendQueue none;
  swap(none);
}

void SendQueue::swap(SendQueue& other) {
  pieces_.swap(other.pieces_);
  std::swap(lastIsPack_, other.lastIsPack_);
  std::swap(head_, other.head_);
  std::swap(bytes_, other.bytes_);
  spare_.swap(other.spare_);
}

}  // namespace jvmc::cluster
