#include "cluster/membership/program_end.h"

#include <spdlog/spdlog.h>

#include <cstring>
#include <span>

namespace jvmc::cluster {

namespace {

Bytes encodeCount(uint64_t count) {
  Bytes bytes(8);
  for (int i = 0; i < 8; ++i) bytes[i] = uint8_t(count >> (8 * i));
  return bytes;
}

Result<uint64_t> decodeCount(const Bytes& bytes) {
  if (bytes.size() != 8) return Error{ErrorCode::kCorrupt, "a census answer of the wrong size"};
  uint64_t count = 0;
  for (int i = 0; i < 8; ++i) count |= uint64_t(bytes[i]) << (8 * i);
  return count;
}

}  // namespace

ProgramEnd::ProgramEnd(ControlChannel& control, Callbacks callbacks)
    : control_(control), callbacks_(std::move(callbacks)) {
  control_.setHandler(ControlKind::CensusEnded, [this](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    responder->reply(encodeCount(ended_.load()));
  });
  control_.setHandler(ControlKind::CensusCreated, [this](NodeId, Bytes, std::shared_ptr<Responder> responder) {
    responder->reply(encodeCount(created_.load()));
  });
  control_.setHandler(ControlKind::CensusHint, [this](NodeId, Bytes payload, std::shared_ptr<Responder> responder) {
    takeHint(payload);
    responder->reply({});
  });
}

void ProgramEnd::threadCreated(rt::ThreadId) {
  created_.fetch_add(1);
}

void ProgramEnd::threadEnded(rt::ThreadEnd end) {
  if (end.uncaught && callbacks_.onUncaught) callbacks_.onUncaught(end);
  if (end.id == rt::kMainThreadId) noteMainEnded(end.exitCode);
  ended_.fetch_add(1);
  hint();
}

void ProgramEnd::noteMainEnded(int32_t exitCode) {
  exitCode_ = exitCode;
  mainEnded_ = true;
}

/// Payload: u8 main thread ended, i32 its exit code. Sent at every end of a thread: a thread may end on another node
/// than it began on, so no node knows by itself which end is the last.
void ProgramEnd::hint() {
  Bytes payload(5);
  payload[0] = mainEnded_;
  const int32_t exitCode = exitCode_;
  std::memcpy(&payload[1], &exitCode, 4);
  control_.notify(control_.net().leader(), ControlKind::CensusHint, std::move(payload));
}

void ProgramEnd::takeHint(std::span<const uint8_t> payload) {
  if (payload.size() == 5 && payload[0] == 1) {
    int32_t exitCode;
    std::memcpy(&exitCode, &payload[1], 4);
    noteMainEnded(exitCode);
  }
  askForCensus();
}

void ProgramEnd::askForCensus() {
  if (!mainEnded_ || over_ || hasLeft_ || !control_.net().isLeader()) return;
  if (censusRuns_) {
    askedAgain_ = true;
    return;
  }
  beginCensus();
}

void ProgramEnd::membersChanged(const EndBequest& left) {
  ++changes_;
  if (left.mainEnded) noteMainEnded(left.exitCode);
  if (!control_.net().isLeader()) return hint();
  created_ += left.created;
  ended_ += left.ended;
  askForCensus();
}

EndBequest ProgramEnd::bequeath() {
  hasLeft_ = true;
  return {created_, ended_, mainEnded_, exitCode_};
}

void ProgramEnd::beginCensus() {
  censusRuns_ = true;
  askedAgain_ = false;
  changesAtCensus_ = changes_;
  wave(ControlKind::CensusEnded, [this](uint64_t ended) {
    wave(ControlKind::CensusCreated, [this, ended](uint64_t created) { closeCensus(ended, created); });
  });
}

void ProgramEnd::wave(ControlKind kind, std::function<void(uint64_t)> next) {
  struct Tally {
    size_t missing;
    uint64_t sum = 0;
    bool failed = false;
  };
  auto nodes = control_.net().nodes();
  auto tally = std::make_shared<Tally>(Tally{nodes.size()});
  for (NodeId node : nodes) {
    control_.request(node, kind, {}, [this, tally, next](Result<Bytes> answer) {
      auto count = answer.ok() ? decodeCount(*answer) : Result<uint64_t>(answer.error());
      if (count.ok()) tally->sum += *count;
      if (!count.ok()) tally->failed = true;
      if (--tally->missing > 0) return;
      if (tally->failed) return endCensus();
      next(tally->sum);
    });
  }
}

void ProgramEnd::closeCensus(uint64_t ended, uint64_t created) {
  spdlog::debug("census: {} threads created, {} ended", created, ended);
  if (ended == created && changes_ == changesAtCensus_ && !hasLeft_) {
    over_ = true;
    censusRuns_ = false;
    return callbacks_.onEnd(exitCode_);
  }
  endCensus();
}

void ProgramEnd::endCensus() {
  censusRuns_ = false;
  if (askedAgain_) askForCensus();
}

}  // namespace jvmc::cluster
