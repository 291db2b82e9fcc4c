#include "cluster/net/message_link.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ir/support/check.h"
#include "ir/support/fault.h"

namespace jvmc::cluster {

namespace {

constexpr int kPiecesMax = 64;
constexpr int kTurnCalls = 16;
constexpr uint32_t kReading = EPOLLIN;
constexpr uint32_t kReadingAndWriting = EPOLLIN | EPOLLOUT;

}  // namespace

MessageLink::MessageLink(MessageLoop& loop, Transport transport, size_t payloadBytesMax, LinkOwner& owner)
    : loop_(loop),
      fd_(transport.fd),
      tls_(std::move(transport.tls)),
      owner_(owner),
      reader_(payloadBytesMax, &loop.spare()),
      alive_(std::make_shared<bool>(true)) {
  loop_.watch(fd_, kReading, *this);
}

MessageLink::Transfer MessageLink::transferOf(ssize_t count) {
  if (count >= 0) return {size_t(count)};
  if (errno == EAGAIN) return {.notReady = true};
  return {.problem = std::strerror(errno)};
}

MessageLink::Transfer MessageLink::transferOf(TlsSession::Progress progress) {
  switch (progress.state) {
    case TlsSession::State::Done:
      return {progress.bytes};
    case TlsSession::State::WantsRead:
    case TlsSession::State::WantsWrite:
      return {.notReady = true};
    case TlsSession::State::Closed:
      return {};
    case TlsSession::State::Failed:
      break;
  }
  return {.problem = std::move(progress.why)};
}

MessageLink::~MessageLink() {
  JVMC_CHECK(closed_, fd_);
}

void MessageLink::close() {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  *alive_ = false;
  loop_.unwatch(fd_, *this);
  queue_.clear();
  if (writing_) {  // another thread is inside a system call with the socket: it closes it
    shutdown(fd_, SHUT_RDWR);
    return;
  }
  sending_.clear();
  ::close(fd_);
}

// ---------------------------------------------------------------- sending

void MessageLink::send(FrameHeader header, Payload payload) {
  std::unique_lock lock(mutex_);
  if (closed_) return;
  header.number = frames_++;
  const size_t before = queue_.bytes();
  queue_.append(header, std::move(payload));
  queuedBytes_.fetch_add(queue_.bytes() - before, std::memory_order_relaxed);
  if (loop_.onLoop()) {
    if (!collecting_) {
      collecting_ = true;
      loop_.flushSoon(*this);
    }
    if (queue_.bytes() < kCollectedBytes) return;
  }
  write(lock);
}

void MessageLink::flush() {
  collecting_ = false;
  std::unique_lock lock(mutex_);
  write(lock);
}

/// Becomes the writer, unless there is one or the socket is full.
void MessageLink::write(std::unique_lock<std::mutex>& lock) {
  if (writing_ || blocked_ || closed_ || (queue_.empty() && sending_.empty())) return;
  writing_ = true;
  Progress progress = Progress::Done;
  for (int calls = 0; progress == Progress::Done && !closed_; ++calls) {
    if (sending_.empty()) sending_.swap(queue_);
    if (sending_.empty()) break;
    lock.unlock();
    progress = calls < kTurnCalls ? writeTurn() : Progress::Full;  // the loop goes on for a thread that has other work
    lock.lock();
  }
  writing_ = false;
  if (closed_) {
    sending_.clear();
    ::close(fd_);
    return;
  }
  blocked_ = progress != Progress::Done;
  if (progress == Progress::Failed) return failSoon("cannot write to it: " + writeProblem_);
  if (blocked_ != watchesWriting_) {
    watchesWriting_ = blocked_;
    loop_.change(fd_, blocked_ ? kReadingAndWriting : kReading, *this);
  }
  tellIfDrained();
}

/// Writes `sending_` as far as the socket, or one turn, goes. Without the lock.
MessageLink::Progress MessageLink::writeTurn() {
  size_t turn = 0;
  while (!sending_.empty()) {
    if (turn >= kTurnBytes) return Progress::Full;  // let the loop look at other sockets
    Transfer taken = put();
    if (taken.notReady) return Progress::Full;
    if (taken.bytes == 0) {
      writeProblem_ = taken.problem.empty() ? "the connection was closed" : std::move(taken.problem);
      return Progress::Failed;
    }
    turn += taken.bytes;
    sending_.drop(taken.bytes);
    queuedBytes_.fetch_sub(taken.bytes);
  }
  return Progress::Done;
}

/// Pieces that are not ours and have so many bytes go by pages.
size_t MessageLink::lentBytes() const {
  return !tls_ && pages_.works() ? PagePipe::kPieceBytes : SIZE_MAX;
}

/// Gives it bytes that need not be copied, if these come next.
std::optional<MessageLink::Transfer> MessageLink::putPages() {
  if (pages_.empty()) {
    iovec pieces[kPiecesMax];
    const int count = sending_.gatherLent(pieces, kPiecesMax, lentBytes());
    if (count == 0 || !pages_.take(pieces, count)) return std::nullopt;
  }
  Transfer given = transferOf(pages_.give(fd_));
  if (given.bytes > 0 || given.notReady || !pages_.empty()) return given;
  return std::nullopt;
}

/// Gives the socket as much of `sending_` as it takes at once.
MessageLink::Transfer MessageLink::put() {
  if (std::optional<Transfer> given = putPages()) return std::move(*given);
  iovec pieces[kPiecesMax];
  const int count = sending_.gather(pieces, tls_ ? 1 : kPiecesMax, lentBytes());
  if (tls_) {
    auto progress = tls_->write({static_cast<const uint8_t*>(pieces[0].iov_base), pieces[0].iov_len});
    return transferOf(std::move(progress));
  }
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = size_t(count);
  ssize_t taken;
  do {
    taken = sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (taken < 0 && errno == EINTR);
  return transferOf(taken);
}

void MessageLink::whenDrainedTo(size_t bytes) {
  drainMark_ = bytes;
  tellIfDrained();
}

void MessageLink::tellIfDrained() {
  size_t mark = drainMark_.load();
  if (mark == SIZE_MAX || queuedBytes_.load() > mark) return;
  if (!drainMark_.compare_exchange_strong(mark, SIZE_MAX)) return;
  loop_.post([this, alive = alive_] {
    if (*alive) owner_.onDrained();
  });
}

// ---------------------------------------------------------------- receiving

void MessageLink::onReady(uint32_t events) {
  if (!*alive_) return;
  if (events & ~uint32_t(EPOLLOUT)) read();
  if (!*alive_ || !(events & EPOLLOUT)) return;
  std::unique_lock lock(mutex_);
  blocked_ = false;
  write(lock);
}

MessageLink::Transfer MessageLink::get(std::span<uint8_t> into) {
  if (tls_) return transferOf(tls_->read(into));
  ssize_t count;
  do {
    count = recv(fd_, into.data(), into.size(), MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  return transferOf(count);
}

void MessageLink::read() {
  // What has been decrypted already no readiness of the socket announces: it is read in this turn.
  for (size_t turn = 0; turn < kTurnBytes || (tls_ && tls_->holdsBytes());) {
    const std::span<uint8_t> room = reader_.room();
    Transfer taken = get(room);
    if (taken.notReady) return;
    if (taken.bytes == 0)
      return fail(taken.problem.empty() ? "the connection was closed" : "cannot read from it: " + taken.problem);
    turn += taken.bytes;
    reader_.filled(taken.bytes);
    while (std::optional<Frame> frame = reader_.next()) {
      const FrameOrder::Verdict verdict = order_.take(frame->header.number);
      if (verdict == FrameOrder::Verdict::Gap) return fail("it sent a frame whose predecessor is missing");
      if (verdict == FrameOrder::Verdict::Again && !JVMC_FAULT("frame-that-comes-again-is-handled")) continue;
      owner_.onFrame(std::move(*frame));
      if (!*alive_) return;
    }
    if (!reader_.problem().empty()) return fail("it sent " + reader_.problem());
    if (!tls_ && taken.bytes < room.size()) return;  // there was no more
  }
}

void MessageLink::failSoon(std::string why) {
  loop_.post([this, alive = alive_, why = std::move(why)]() mutable {
    if (*alive) fail(std::move(why));
  });
}

void MessageLink::fail(std::string why) {
  if (broken_) return;
  broken_ = true;
  owner_.onBroken(std::move(why));
}

}  // namespace jvmc::cluster
