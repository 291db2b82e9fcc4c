#include "cluster/net/peer_exchange.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "cluster/net/limits.h"
#include "ir/support/check.h"

namespace jvmc::cluster {

namespace {

size_t costOf(size_t payloadBytes) {
  return payloadBytes + kWindowBytesPerRequest;
}

/// Of the bulk link. Sender and receiver wake each other once for what fits, and a sleeping core takes 50 µs to wake
/// up.
constexpr int kBulkBufferBytes = 1 << 20;

/// Within a machine; TCP finds out by itself how much it needs. The system may allow less.
void enlargeBuffer(int fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kBulkBufferBytes, sizeof kBulkBufferBytes);
}

constexpr std::array<size_t, kDataLinks> kPayloadMax = {kSmallPayloadBytesMax, kPayloadBytesMax};
constexpr std::array<size_t, kDataLinks> kUntakenMax = {kUntakenSmallBytesMax, kUntakenBulkBytesMax};

}  // namespace

PeerExchange::PeerExchange(MessageLoop& loop, NodeId peer, uint32_t view, ExchangeOwner& owner)
    : loop_(loop), peer_(peer), view_(view), owner_(owner) {}

PeerExchange::~PeerExchange() {
  JVMC_CHECK(ended_.has_value(), peer_.value);
}

bool PeerExchange::addLink(DataLink kind, Transport transport) {
  const size_t at = size_t(kind);
  std::lock_guard lock(mutex_);
  if (ended_ || ownedLinks_[at]) {
    close(transport.fd);
    return false;
  }
  if (kind == DataLink::Bulk) enlargeBuffer(transport.fd);
  ownedLinks_[at] =
      std::make_unique<MessageLink>(loop_, std::move(transport), kPayloadMax[at], static_cast<LinkOwner&>(*this));
  links_[at] = ownedLinks_[at].get();
  return true;
}

bool PeerExchange::end(Error why) {
  std::vector<Done> failed;
  {
    std::lock_guard lock(mutex_);
    if (ended_) return false;
    ended_ = why;
    for (Question& question : questions_)
      if (question.done) failed.push_back(std::move(question.done));
    questions_.clear();
    waiting_.clear();
  }
  for (auto& link : ownedLinks_)
    if (link) link->close();
  deferred_.clear();
  for (Done& done : failed) done(why);
  return true;
}

NetStats PeerExchange::stats() const {
  NetStats stats;
  for (size_t i = 0; i < kChannels; ++i) {
    const Counters& from = counters_[i];
    stats.channels[i] = {from.messagesSent, from.bytesSent, from.messagesReceived, from.bytesReceived};
  }
  return stats;
}

// ---------------------------------------------------------------- sending

MessageLink* PeerExchange::link(size_t payloadBytes) const {
  return links_[size_t(payloadBytes > kSmallPayloadBytesMax ? DataLink::Bulk : DataLink::Small)].load(
      std::memory_order_acquire);
}

/// Hands a frame to the link that its size belongs to.
void PeerExchange::post(FrameHeader header, Payload payload) {
  MessageLink* link = this->link(payload.size());
  if (!link) return;
  header.payloadBytes = uint32_t(payload.size());
  header.view = view_;
  Counters& counters = counters_[size_t(header.channel)];
  counters.messagesSent.fetch_add(1, std::memory_order_relaxed);
  counters.bytesSent.fetch_add(header.payloadBytes, std::memory_order_relaxed);
  link->send(header, std::move(payload));
}

void PeerExchange::ask(Channel channel, Payload payload, Done done) {
  FrameHeader header;
  header.kind = FrameKind::Request;
  header.channel = channel;
  std::optional<Error> refusal;
  if (payload.size() > kPayloadBytesMax)
    refusal = Error{ErrorCode::kRefused, fmt::format("a payload of {} bytes is too large", payload.size())};
  {
    std::lock_guard lock(mutex_);
    if (!refusal && ended_) refusal = ended_;
    if (!refusal && !link(payload.size())) refusal = Error{ErrorCode::kUnavailable, "it is not connected"};
    if (!refusal) {
      const size_t cost = costOf(payload.size());
      header.id = addQuestionLocked(std::move(done), cost);
      if (windowUsed_ > 0 && windowUsed_ + cost > kWindowBytes) {
        waiting_.push_back({header, std::move(payload)});
        return;
      }
      windowUsed_ += cost;
      findQuestionLocked(header.id)->sent = true;
    }
  }
  if (!refusal) return post(header, std::move(payload));
  loop_.post([done = std::move(done), error = std::move(*refusal)] { done(error); });
}

void PeerExchange::notify(Channel channel, Bytes payload) {
  if (payload.size() > kPayloadBytesMax) return;
  FrameHeader header;
  header.kind = FrameKind::Notify;
  header.channel = channel;
  post(header, std::move(payload));
}

void PeerExchange::answer(Channel channel, uint64_t id, Result<Bytes> result) {
  FrameHeader header;
  header.kind = FrameKind::Reply;
  header.channel = channel;
  header.id = id;
  if (result.ok() && result->size() > kPayloadBytesMax)
    result = Error{ErrorCode::kRefused, fmt::format("an answer of {} bytes is too large", result->size())};
  if (result.ok()) return post(header, std::move(*result));
  header.kind = FrameKind::Fail;
  post(header, encodeFail(result.error()));
}

// ---------------------------------------------------------------- questions

uint64_t PeerExchange::asked() const {
  std::lock_guard lock(mutex_);
  return asked_;
}

bool PeerExchange::answered(uint64_t count) const {
  std::lock_guard lock(mutex_);
  return std::none_of(questions_.begin(), questions_.end(),
                      [&](const Question& question) { return question.done && question.number < count; });
}

uint64_t PeerExchange::addQuestionLocked(Done done, size_t cost) {
  if (freeQuestions_.empty()) {
    freeQuestions_.push_back(uint32_t(questions_.size()));
    questions_.emplace_back();
  }
  const uint32_t index = freeQuestions_.back();
  freeQuestions_.pop_back();
  Question& question = questions_[index];
  question.done = std::move(done);
  question.cost = cost;
  question.sent = false;
  question.number = asked_++;
  return uint64_t(++question.generation) << 32 | (index + 1);
}

/// Null if nothing of this id is asked.
PeerExchange::Question* PeerExchange::findQuestionLocked(uint64_t id) {
  const uint64_t index = (id & UINT32_MAX) - 1;
  if (index >= questions_.size()) return nullptr;
  Question& question = questions_[index];
  return question.done && question.generation == id >> 32 ? &question : nullptr;
}

/// The requests that fit into the window now.
std::vector<PeerExchange::Waiting> PeerExchange::takeSendableLocked() {
  std::vector<Waiting> sendable;
  while (!waiting_.empty()) {
    const size_t cost = costOf(waiting_.front().payload.size());
    if (windowUsed_ > 0 && windowUsed_ + cost > kWindowBytes) break;
    windowUsed_ += cost;
    findQuestionLocked(waiting_.front().header.id)->sent = true;
    sendable.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return sendable;
}

// ---------------------------------------------------------------- receiving

void PeerExchange::onFrame(Frame frame) {
  Counters& counters = counters_[size_t(frame.header.channel)];
  counters.messagesReceived.fetch_add(1, std::memory_order_relaxed);
  counters.bytesReceived.fetch_add(frame.payload.size(), std::memory_order_relaxed);
  switch (frame.header.kind) {
    case FrameKind::Request:
      return onRequest(std::move(frame));
    case FrameKind::Notify:
      return owner_.onNotify(peer_, std::move(frame));
    case FrameKind::Reply:
    case FrameKind::Fail:
      return onAnswer(std::move(frame));
  }
}

void PeerExchange::onAnswer(Frame frame) {
  std::optional<Error> failure;
  if (frame.header.kind == FrameKind::Fail) {
    failure = decodeFail(frame.payload);
    if (!failure) return onBroken("it sent a failure that makes no sense");
    failure = std::move(*failure).withContext(fmt::format("node {}", peer_.value));
  }
  Done done;
  std::vector<Waiting> sendable;
  {
    std::lock_guard lock(mutex_);
    Question* question = findQuestionLocked(frame.header.id);
    if (question && question->sent) {
      done = std::exchange(question->done, nullptr);
      windowUsed_ -= question->cost;
      freeQuestions_.push_back(uint32_t(question - questions_.data()));
      sendable = takeSendableLocked();
    }
  }
  if (!done) return onBroken("it sent an answer to nothing that was asked");
  for (Waiting& next : sendable) post(next.header, std::move(next.payload));
  if (failure) return done(std::move(*failure));
  done(std::move(frame.payload));
}

void PeerExchange::onRequest(Frame frame) {
  if (deferred_.empty() && !congested()) return owner_.onRequest(peer_, std::move(frame));
  deferredBytes_ += costOf(frame.payload.size());
  deferred_.push_back(std::move(frame));
  if (deferredBytes_ > kWindowBytes + costOf(kPayloadBytesMax)) return onBroken("it asks for more than the window");
  if (deferred_.size() == 1) handleDeferred();
}

bool PeerExchange::congested() const {
  for (size_t i = 0; i < kDataLinks; ++i)
    if (ownedLinks_[i] && ownedLinks_[i]->queuedBytes() > kUntakenMax[i]) return true;
  return false;
}

/// As many as may be; the rest when the peer has taken half of what waits for it.
void PeerExchange::handleDeferred() {
  while (!deferred_.empty() && !congested()) {
    Frame frame = std::move(deferred_.front());
    deferred_.pop_front();
    deferredBytes_ -= costOf(frame.payload.size());
    owner_.onRequest(peer_, std::move(frame));
  }
  if (deferred_.empty()) return;
  for (size_t i = 0; i < kDataLinks; ++i)
    if (ownedLinks_[i] && ownedLinks_[i]->queuedBytes() > kUntakenMax[i])
      ownedLinks_[i]->whenDrainedTo(kUntakenMax[i] / 2);
}

void PeerExchange::onDrained() {
  handleDeferred();
}

void PeerExchange::onBroken(std::string why) {
  owner_.onBroken(peer_, std::move(why));
}

}  // namespace jvmc::cluster
