#include "cluster/collect/collector.h"

#include <algorithm>
#include <utility>

namespace jvmc::cluster {

namespace {

constexpr int64_t kLookEveryNanos = 50'000'000;
/// A round is due when so many bytes have been exported since the last one, or when anything has been exported and what
/// markings of this heap find alive has grown by so much: one exported object may hold many that are not.
constexpr uint64_t kGrowthMin = 8 << 20;

}  // namespace

bool DueRounds::operator()(uint64_t completed) {
  const rt::MarkedLive marked = heap_.lastMarking();
  if (completed != std::exchange(seen_, completed)) baselineAfter_ = marked.number;
  if (baselineAfter_ && marked.number > *baselineAfter_) {
    baseline_ = marked.bytes;
    baselineAfter_.reset();
  }
  const rt::MemoryUse use = heap_.use();
  const uint64_t exported = heap_.bytesExported(), least = std::min(kGrowthMin, use.limit / 8);
  if (exported > std::max(least, use.live / 2)) return true;
  return exported > 0 && !baselineAfter_ && marked.bytes > baseline_ + std::max(least, baseline_ / 2);
}

ClusterCollector::ClusterCollector(ControlChannel& control, ClusterObjectSpace& space, BlockHost& blocks,
                                   rt::Traceable& heap, std::function<void(rt::Trace&)> moreRoots,
                                   std::function<bool(uint64_t)> isDue)
    : control_(control),
      isDue_(std::move(isDue)),
      participant_(control, space, blocks, heap, std::move(moreRoots)),
      coordinator_(control, participant_) {
  control.setHandler(ControlKind::Collect, [this](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
    handle(from, payload, std::move(responder));
  });
}

void ClusterCollector::start(uint64_t everyMillis) {
  isOn_ = true;
  participant_.start();
  control_.net().post([this, everyMillis] {
    coordinator_.start(int64_t(everyMillis) * 1'000'000);
    look();
  });
}

void ClusterCollector::stop() {
  stopped_ = true;
  coordinator_.stop();
  participant_.stop();
}

void ClusterCollector::handle(NodeId from, const Bytes& payload, std::shared_ptr<Responder> responder) {
  const auto kind = CollectMessage(payload.empty() ? 0 : payload[0]);
  if (kind == CollectMessage::Wanted) return coordinator_.wanted(/*atOnce=*/false);
  if (kind == CollectMessage::WantedNow) return coordinator_.wanted(/*atOnce=*/true);
  if (kind == CollectMessage::Mark) {
    ByteReader in(std::span<const uint8_t>(payload).subspan(1));
    return participant_.handleMark(in);
  }
  if (!isOn_) return responder->fail({ErrorCode::kUnavailable, "this program does not collect together"});
  CollectStep step;
  if (!decode(payload, step)) return responder->fail({ErrorCode::kCorrupt, "malformed step of a collection"});
  participant_.handleStep(from, std::move(step), std::move(responder));
}

void ClusterCollector::request(bool atOnce) {
  const auto message = atOnce ? CollectMessage::WantedNow : CollectMessage::Wanted;
  control_.notify(control_.net().leader(), ControlKind::Collect, {uint8_t(message)});
}

void ClusterCollector::look() {
  if (stopped_) return;
  if (isDue_(completedRounds())) request(/*atOnce=*/false);
  control_.net().postAfter(kLookEveryNanos, [this] { look(); });
}

void ClusterCollector::report(const StatSink& sink) const {
  participant_.report(sink);
  coordinator_.report(sink);
}

std::string ClusterCollector::describe() const {
  return participant_.describe();
}

}  // namespace jvmc::cluster
