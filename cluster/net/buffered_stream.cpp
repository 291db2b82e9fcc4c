#include "cluster/net/buffered_stream.h"

#include <kj/debug.h>

#include <algorithm>
#include <cstring>

namespace jvmc::cluster {

BufferedStream::BufferedStream(kj::Own<kj::AsyncIoStream> inner, size_t maxMessageBytes)
    : inner_(kj::mv(inner)),
      check_(maxMessageBytes),
      readBuffer_(kj::heapArray<kj::byte>(kReadAheadBytes)),
      lastWrite_(kj::Promise<void>(kj::READY_NOW).fork()),
      tasks_(*this) {}

BufferedStream::~BufferedStream() noexcept(false) = default;

void BufferedStream::taskFailed(kj::Exception&& exception) {
  if (failure_ == nullptr) failure_ = kj::mv(exception);
}

// ---------------------------------------------------------------- reading

void BufferedStream::checkArrived(const kj::byte* bytes, size_t count) {
  if (!check_.accept({bytes, count}))
    kj::throwFatalException(KJ_EXCEPTION(DISCONNECTED, "the peer sent a bad frame", check_.problem().c_str()));
}

size_t BufferedStream::takeBuffered(kj::byte* destination, size_t maxBytes) {
  size_t taken = std::min(readTo_ - readFrom_, maxBytes);
  if (taken > 0) std::memcpy(destination, readBuffer_.begin() + readFrom_, taken);
  readFrom_ += taken;
  return taken;
}

kj::Promise<size_t> BufferedStream::tryRead(void* buffer, size_t minBytes, size_t maxBytes) {
  auto* destination = static_cast<kj::byte*>(buffer);
  size_t have = takeBuffered(destination, maxBytes);
  if (have >= minBytes) return have;

  destination += have;
  size_t need = minBytes - have, room = maxBytes - have;
  readFrom_ = readTo_ = 0;
  if (need >= readBuffer_.size()) {
    return inner_->tryRead(destination, need, room).then([this, destination, have](size_t count) {
      checkArrived(destination, count);
      return have + count;
    });
  }
  return inner_->tryRead(readBuffer_.begin(), need, readBuffer_.size())
      .then([this, destination, room, have](size_t count) {
        checkArrived(readBuffer_.begin(), count);
        readTo_ = count;
        return have + takeBuffered(destination, room);
      });
}

// ---------------------------------------------------------------- writing

kj::Promise<void> BufferedStream::write(const void* buffer, size_t size) {
  auto pieces = kj::heapArray<kj::ArrayPtr<const kj::byte>>(1);
  pieces[0] = kj::arrayPtr(static_cast<const kj::byte*>(buffer), size);
  auto written = write(pieces);
  return written.attach(kj::mv(pieces));
}

kj::Promise<void> BufferedStream::write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
  KJ_IF_MAYBE (failure, failure_) return kj::cp(*failure);
  size_t total = 0;
  for (auto& piece : pieces) total += piece.size();

  if (total >= kLargeWriteBytes) {
    queuedBytes_ += total;
    tasks_.add(flush());
    return afterEarlierWrites(
        [this, pieces, total]() { return inner_->write(pieces).then([this, total]() { queuedBytes_ -= total; }); });
  }
  for (auto& piece : pieces) pending_.addAll(piece.begin(), piece.end());
  queuedBytes_ += total;
  if (queuedBytes_ > kMaxQueuedBytes) return flush();
  flushAtEndOfTurn();
  return kj::READY_NOW;
}

void BufferedStream::flushAtEndOfTurn() {
  if (flushScheduled_) return;
  flushScheduled_ = true;
  tasks_.add(kj::evalLast([this]() {
    flushScheduled_ = false;
    return flush();
  }));
}

kj::Promise<void> BufferedStream::flush() {
  if (pending_.empty()) return lastWrite_.addBranch();
  auto bytes = pending_.releaseAsArray();
  pending_ = kj::Vector<kj::byte>();
  return afterEarlierWrites([this, bytes = kj::mv(bytes)]() mutable {
    size_t count = bytes.size();
    auto written = inner_->write(bytes.begin(), count).then([this, count]() { queuedBytes_ -= count; });
    return written.attach(kj::mv(bytes));
  });
}

kj::Promise<void> BufferedStream::afterEarlierWrites(kj::Function<kj::Promise<void>()> writeNow) {
  lastWrite_ = lastWrite_.addBranch()
                   .then(kj::mv(writeNow))
                   .catch_([this](kj::Exception&& exception) {
                     if (failure_ == nullptr) failure_ = kj::cp(exception);
                     kj::throwRecoverableException(kj::mv(exception));
                   })
                   .fork();
  return lastWrite_.addBranch();
}

void BufferedStream::shutdownWrite() {
  tasks_.add(flush().then([this]() { inner_->shutdownWrite(); }));
}

}  // namespace jvmc::cluster
