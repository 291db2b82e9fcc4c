// The stream that Cap'n Proto RPC runs on here: reads ahead, joins the writes of one turn of the event loop, and checks
// frames before the library sees them. Halves the cost of a call (one read and one write instead of four and three).
//
//   writes: appended to `pending`; at the end of the turn everything pending goes out in one write. Above
//   kMaxQueuedBytes
//           queued, write() completes only when the socket has taken them (back-pressure). Large pieces are not copied.
//   reads:  filled from a 64 KiB buffer; what needs more than the buffer is read straight into its place.
#pragma once

#include <kj/async-io.h>
#include <kj/vector.h>

#include "cluster/net/frame_check.h"

namespace jvmc::cluster {

/// Lives on the event loop of the wrapped stream. A stream that fails its frame check looks like a lost connection.
class BufferedStream final : public kj::AsyncIoStream, private kj::TaskSet::ErrorHandler {
 public:
  static constexpr size_t kReadAheadBytes = 64 << 10;
  static constexpr size_t kLargeWriteBytes = 64 << 10;
  static constexpr size_t kMaxQueuedBytes = 256 << 10;

  BufferedStream(kj::Own<kj::AsyncIoStream> inner, size_t maxMessageBytes);
  ~BufferedStream() noexcept(false);

  kj::Promise<size_t> tryRead(void* buffer, size_t minBytes, size_t maxBytes) override;
  kj::Promise<void> write(const void* buffer, size_t size) override;
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override;
  kj::Promise<void> whenWriteDisconnected() override { return inner_->whenWriteDisconnected(); }
  void shutdownWrite() override;
  void abortRead() override { inner_->abortRead(); }
  kj::Maybe<int> getFd() const override { return inner_->getFd(); }

  /// Bytes accepted by write() that the socket has not taken yet.
  size_t queuedBytes() const { return queuedBytes_; }

 private:
  void taskFailed(kj::Exception&& exception) override;
  void checkArrived(const kj::byte* bytes, size_t count);
  size_t takeBuffered(kj::byte* destination, size_t maxBytes);
  void flushAtEndOfTurn();
  /// Sends `pending_`; the promise completes when the socket has taken it and everything before it.
  kj::Promise<void> flush();
  /// Runs `writeNow` after all writes before it.
  kj::Promise<void> afterEarlierWrites(kj::Function<kj::Promise<void>()> writeNow);

  kj::Own<kj::AsyncIoStream> inner_;
  FrameCheck check_;
  kj::Array<kj::byte> readBuffer_;
  size_t readFrom_ = 0, readTo_ = 0;

  kj::Vector<kj::byte> pending_;
  size_t queuedBytes_ = 0;
  bool flushScheduled_ = false;
  kj::ForkedPromise<void> lastWrite_;
  kj::Maybe<kj::Exception> failure_;
  kj::TaskSet tasks_;
};

}  // namespace jvmc::cluster
