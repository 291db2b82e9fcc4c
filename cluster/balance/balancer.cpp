#include "cluster/balance/balancer.h"

#include <algorithm>

#include "cluster/balance/plan.h"
#include "cluster/objects/space_core.h"

namespace jvmc::cluster {

namespace {

/// Nobody waits for reports that are only looked at, and rounds of `rotate` are what they are for tests.
ReportPaceOptions paceFor(const BalanceOptions& options) {
  ReportPaceOptions pace;
  pace.normalNanos = options.reportNanos;
  if (options.policy == BalancePolicy::Off) pace.fastNanos = pace.normalNanos = pace.quietNanos;
  if (options.policy == BalancePolicy::Rotate) pace.fastNanos = pace.quietNanos = pace.normalNanos;
  return pace;
}

}  // namespace

Balancer::Balancer(ControlChannel& control, BalanceOptions options, bool dryRun, LoadMeter& meter, BalancerPorts ports)
    : control_(control),
      options_(options),
      dryRun_(dryRun),
      meter_(meter),
      ports_(std::move(ports)),
      pace_(paceFor(options)),
      log_(options.policy) {
  control_.setHandler(ControlKind::Balance, [this](NodeId from, Bytes payload, std::shared_ptr<Responder>) {
    ByteReader in(payload);
    BlockGift gift;
    gift.to = NodeId(in.get<uint32_t>());
    gift.bytes = in.get<uint64_t>();
    gift.used = in.getBool();
    const bool sensible = in.finished() && control_.net().isPlace(gift.to) && gift.to != control_.net().self();
    if (from == control_.net().leader() && sensible) ports_.give(gift);
  });
  control_.setHandler(ControlKind::Placement, [this](NodeId from, Bytes payload, std::shared_ptr<Responder>) {
    const Result<std::vector<NodeRoom>> room = decodeRoom(payload);
    if (room.ok() && from == control_.net().leader()) ports_.placer.update(*room);
  });
  control_.setHandler(ControlKind::LoadReport, [this](NodeId from, Bytes payload, std::shared_ptr<Responder>) {
    Result<NodeLoad> load = decodeLoad(payload);
    if (load.ok() && load->node == from) take(std::move(*load));
  });
}

void Balancer::start() {
  control_.net().postAfter(kLookNanos, [this] { tick(); });
}

void Balancer::tick() {
  if (stopped_) return;
  const int64_t begun = control_.net().now();
  if (pace_.isDue(begun, meter_.hasChanged())) {
    NodeLoad load = meter_.sample(begun);
    const int64_t spent = control_.net().now() - begun;
    sampleNanos_ += uint64_t(spent);
    samples_++;
    pace_.reported(begun, load, spent);
    if (options_.policy == BalancePolicy::Off) {
      // Only for those who look.
    } else if (control_.net().isLeader()) {
      take(std::move(load));
    } else {
      control_.notify(control_.net().leader(), ControlKind::LoadReport, encodeLoad(load));
    }
  }
  if (hasNews_ && begun >= restUntilNanos_) decideNow();
  control_.net().postAfter(kLookNanos, [this] { tick(); });
}

void Balancer::take(NodeLoad load) {
  hasNews_ = true;
  const NodeId node = load.node;
  reports_[node] = {std::move(load), control_.net().now()};
}

void Balancer::decideNow() {
  hasNews_ = false;
  LoadSnapshot snapshot;
  snapshot.nowNanos = control_.net().now();
  const std::vector<NodeId> members = control_.net().nodes();
  for (NodeId node : members) {
    const auto report = reports_.find(node);
    if (report == reports_.end() || snapshot.nowNanos - report->second.arrivedNanos >= kReportNanosMax) return;
    // Threads of a node that leaves are moved by others, and none goes there.
    if (control_.net().isPlace(node)) snapshot.nodes.push_back(report->second.load);
  }
  for (NodeLoad& load : snapshot.nodes) reports_[load.node].load.fresh = false;
  rounds_++;
  log_.judge(snapshot);
  pending_.apply(snapshot);
  BalanceDecision decision = decide(options_, snapshot, history_);
  log_.add(snapshot, decision.moves, decision.blockMoves, dryRun_);
  history_ = std::move(decision.history);
  if (!dryRun_) carryOut(decision, snapshot.nowNanos);
  tellPlacers(snapshot);
  const int64_t spent = control_.net().now() - snapshot.nowNanos;
  decideNanos_ += uint64_t(spent);
  restUntilNanos_ = snapshot.nowNanos + spent * kDecideShareMax;
}

void Balancer::carryOut(const BalanceDecision& decision, int64_t nowNanos) {
  for (const Move& move : decision.moves) {
    rt::ThreadMail mail{};
    mail.kind = rt::ThreadMail::Kind::Migrate;
    mail.target = move.to;
    ports_.post.send(move.thread, mail);
    pending_.add(move, nowNanos);
    moves_++;
  }
  for (const BlockMove& move : decision.blockMoves) {
    ByteWriter out;
    out.put(move.to.value);
    out.put(move.bytes);
    out.put(move.used);
    control_.notify(move.from, ControlKind::Balance, out.take());
    blockMoves_++;
  }
}

/// Threads that have only just begun to run have used no CPU yet: whoever is runnable counts.
void Balancer::tellPlacers(const LoadSnapshot& snapshot) {
  if (snapshot.nowNanos - toldNanos_ < options_.reportNanos) return;
  toldNanos_ = snapshot.nowNanos;
  std::vector<NodeRoom> room;
  for (const NodeLoad& node : snapshot.nodes) {
    const Demand demand(node);
    double busy = 0;
    for (const ThreadLoad& thread : node.threads) busy += thread.runnable ? 1 : demand.of(thread);
    room.push_back({node.node, node.workers, busy});
  }
  for (const NodeLoad& node : snapshot.nodes) control_.notify(node.node, ControlKind::Placement, encodeRoom(room));
}

void Balancer::report(const StatSink& sink) const {
  sink("balance.rounds", rounds_);
  sink("balance.moves", moves_);
  sink("balance.block_moves", blockMoves_);
  sink("balance.decide_nanos", decideNanos_);
  sink("balance.samples", samples_);
  sink("balance.sample_nanos", sampleNanos_);
}

}  // namespace jvmc::cluster
