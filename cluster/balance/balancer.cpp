#include "cluster/balance/balancer.h"

#include <algorithm>

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

Balancer::Balancer(ControlChannel& control, rt::ThreadPost& post, BalanceOptions options, LoadMeter& meter,
                   std::function<void(NodeId to, uint64_t bytes)> giveBlocks)
    : control_(control), post_(post), options_(options), meter_(meter), pace_(paceFor(options)) {
  control_.setHandler(ControlKind::Balance, [this, give = std::move(giveBlocks)](NodeId from, Bytes payload,
                                                                                 std::shared_ptr<Responder>) {
    ByteReader in(payload);
    const NodeId to(in.get<uint32_t>());
    const uint64_t bytes = in.get<uint64_t>();
    const bool sensible = in.finished() && control_.net().isPlace(to) && to != control_.net().self();
    if (from == control_.net().leader() && sensible) give(to, bytes);
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
  const int64_t begun = steadyNanos();
  if (pace_.isDue(begun, meter_.hasChanged())) {
    NodeLoad load = meter_.sample(begun);
    const int64_t spent = steadyNanos() - begun;
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
  if (hasNews_) decideNow();
  control_.net().postAfter(kLookNanos, [this] { tick(); });
}

void Balancer::take(NodeLoad load) {
  hasNews_ = true;
  std::lock_guard lock(mutex_);
  const NodeId node = load.node;
  reports_[node] = {std::move(load), steadyNanos()};
}

void Balancer::decideNow() {
  hasNews_ = false;
  LoadSnapshot snapshot;
  snapshot.nowNanos = steadyNanos();
  const std::vector<NodeId> members = control_.net().nodes();
  {
    std::lock_guard lock(mutex_);
    for (NodeId node : members) {
      const auto report = reports_.find(node);
      if (report == reports_.end() || snapshot.nowNanos - report->second.arrivedNanos >= kReportNanosMax) return;
      snapshot.nodes.push_back(report->second.load);
    }
  }
  rounds_++;
  BalanceDecision decision = decide(options_, snapshot, history_);
  history_ = std::move(decision.history);
  for (Move& move : decision.moves) {
    if (!control_.net().isPlace(move.to)) continue;
    rt::ThreadMail mail{};
    mail.kind = rt::ThreadMail::Kind::Migrate;
    mail.target = move.to;
    post_.send(move.thread, mail);
    moves_++;
    log(snapshot.nowNanos, std::move(move));
  }
  for (BlockMove& move : decision.blockMoves) {
    if (!control_.net().isPlace(move.to)) continue;
    ByteWriter out;
    out.put(move.to.value);
    out.put(move.bytes);
    control_.notify(move.from, ControlKind::Balance, out.take());
    blockMoves_++;
    log(snapshot.nowNanos, std::move(move));
  }
}

void Balancer::log(int64_t nanos, std::variant<Move, BlockMove> move) {
  std::lock_guard lock(mutex_);
  log_.push_back({nanos, std::move(move)});
  if (log_.size() > kLogMax) log_.pop_front();
}

std::vector<DecisionRecord> Balancer::decisions() const {
  std::lock_guard lock(mutex_);
  return {log_.begin(), log_.end()};
}

std::vector<NodeLoad> Balancer::reports() const {
  std::vector<NodeLoad> all;
  std::lock_guard lock(mutex_);
  for (const auto& [node, report] : reports_) all.push_back(report.load);
  return all;
}

void Balancer::report(const StatSink& sink) const {
  sink("balance.rounds", rounds_);
  sink("balance.moves", moves_);
  sink("balance.block_moves", blockMoves_);
  sink("balance.samples", samples_);
  sink("balance.sample_nanos", sampleNanos_);
}

}  // namespace jvmc::cluster
