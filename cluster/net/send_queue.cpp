#include "cluster/net/send_queue.h"

#include <sys/uio.h>

#include <utility>

namespace jvmc::cluster {

/// A piece that small frames are packed into, with room for `bytes`.
Bytes& SendQueue::pack(size_t bytes) {
  if (!lastIsPack_ || pieces_.back().own.size() + bytes > kPackBytes) {
    pieces_.push_back({std::exchange(spare_, {}), {}});
    lastIsPack_ = true;
  }
  return pieces_.back().own;
}

void SendQueue::append(const FrameHeader& header, Payload payload) {
  const size_t packed = payload.bytes.size() <= kPackedPayloadBytes ? payload.bytes.size() : 0;
  Bytes& into = pack(kFrameHeaderBytes + packed);
  const size_t at = into.size();
  into.resize(at + kFrameHeaderBytes);
  encodeFrameHeader(header, into.data() + at);
  into.insert(into.end(), payload.bytes.begin(), payload.bytes.begin() + ptrdiff_t(packed));
  bytes_ += kFrameHeaderBytes + payload.size();
  if (packed < payload.bytes.size()) pieces_.push_back({std::move(payload.bytes), {}});
  for (const std::span<const uint8_t> piece : payload.tail)
    if (!piece.empty()) pieces_.push_back({{}, piece});
  lastIsPack_ = pieces_.back().other.empty() && packed == payload.bytes.size();
}

template <class Wanted>
int SendQueue::gatherWhile(iovec* pieces, int count, Wanted wanted) const {
  int used = 0;
  for (const Piece& piece : pieces_) {
    if (used == count || !wanted(piece)) break;
    const std::span<const uint8_t> left = piece.bytes().subspan(used == 0 ? head_ : 0);
    pieces[used++] = {const_cast<uint8_t*>(left.data()), left.size()};
  }
  return used;
}

int SendQueue::gather(iovec* pieces, int count, size_t lentBytes) const {
  return gatherWhile(pieces, count, [&](const Piece& piece) { return piece.other.size() < lentBytes; });
}

int SendQueue::gatherLent(iovec* pieces, int count, size_t lentBytes) const {
  return gatherWhile(pieces, count, [&](const Piece& piece) { return piece.other.size() >= lentBytes; });
}

void SendQueue::drop(size_t bytes) {
  bytes_ -= bytes;
  head_ += bytes;
  while (!pieces_.empty() && head_ >= pieces_.front().bytes().size()) {
    Piece& gone = pieces_.front();
    head_ -= gone.bytes().size();
    if (gone.own.capacity() > 0 && gone.own.capacity() <= 2 * kPackBytes) spare_ = std::move(gone.own);
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
