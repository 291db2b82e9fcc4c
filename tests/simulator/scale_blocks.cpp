#include "tests/simulator/scale_blocks.h"

namespace jvmc::sim {

using cluster::ByteReader;
using cluster::ByteWriter;
using cluster::HomeState;
using cluster::LastSeen;
using cluster::MoveResult;

namespace {

enum Message : uint8_t { Prepare = 1, Blocks };

MoveResult refusal(std::string why) {
  MoveResult result;
  result.refusal = {ErrorCode::kUnavailable, std::move(why)};
  return result;
}

}  // namespace

void ScaleBlocks::open(cluster::ThreadRouter& router) {
  router_ = &router;
  node_.net.setHandler(Channel::Objects, [this](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
    ByteReader in(payload);
    const uint8_t kind = in.get<uint8_t>();
    const bool isDone = kind == Prepare ? prepare(from, in) : kind == Blocks && take(in);
    isDone ? responder->reply({}) : responder->fail({ErrorCode::kUnavailable, "it takes no blocks"});
  });
}

void ScaleBlocks::begin(uint64_t block) {
  here_[block] = 0;
  history_.blockArrives(node_.id(), block);
}

void ScaleBlocks::move(NodeId target, std::function<void(const MoveResult&)> done) {
  std::vector<uint64_t> blocks;
  ByteWriter out;
  out.put(uint8_t(Prepare));
  out.put(uint32_t(here_.size()));
  for (const auto& [block, moves] : here_) {
    blocks.push_back(block);
    out.put(block);
    out.put(moves);
  }
  if (blocks.empty()) return done({});
  node_.net.request(target, Channel::Objects, out.take(), [this, target, blocks, done](const Result<Bytes>& ready) {
    ready.ok() ? ship(target, blocks, done) : done(refusal(ready.error().message));
  });
}

void ScaleBlocks::ship(NodeId target, std::vector<uint64_t> blocks, std::function<void(const MoveResult&)> done) {
  ByteWriter out;
  out.put(uint8_t(Blocks));
  out.put(uint32_t(blocks.size()));
  for (uint64_t block : blocks) {
    const uint32_t moves = here_.extract(block).mapped() + 1;
    node_.homes.set(block, {target, HomeState::Sent, moves});
    history_.blockLeaves(node_.id(), block);
    out.put(block);
    out.put(moves);
    for (const rt::ThreadRef& thread : directory_.threads.at(block)) {
      std::optional<LastSeen> seen = router_->takeLocation(thread.id);
      if (!seen && host_.isHere(thread.id)) seen = LastSeen{node_.id(), 0};  // as VmHost does
      out.put(uint8_t(seen.has_value()));
      out.put(seen ? seen->node.value : 0u);
      out.put(seen ? seen->incarnation : 0u);
    }
  }
  onTheirWay_ += blocks.size();
  node_.net.request(target, Channel::Objects, out.take(), [this, target, blocks, done](const Result<Bytes>& taken) {
    if (!taken.ok()) return host_.fatal(Error(taken.error()).withContext("blocks were on their way"));
    onTheirWay_ -= blocks.size();
    for (uint64_t block : blocks) node_.homes.set(block, {target, HomeState::Settled, node_.homes.at(block).moves});
    MoveResult result;
    result.groups = blocks.size();
    result.bytes = blocks.size() * rt::kBlockBytes;
    done(result);
  });
}

bool ScaleBlocks::prepare(NodeId from, ByteReader& in) {
  if (!node_.net.isPlace(node_.id())) return false;
  for (uint32_t left = in.get<uint32_t>(); left > 0; --left) {
    const uint64_t block = in.get<uint64_t>();
    node_.homes.set(block, {from, HomeState::Incoming, in.get<uint32_t>()});
  }
  return in.finished();
}

bool ScaleBlocks::take(ByteReader& in) {
  for (uint32_t left = in.get<uint32_t>(); left > 0; --left) {
    const uint64_t block = in.get<uint64_t>();
    const uint32_t moves = in.get<uint32_t>();
    here_[block] = moves;
    node_.homes.set(block, {node_.id(), HomeState::Settled, moves});
    history_.blockArrives(node_.id(), block);
    for (const rt::ThreadRef& thread : directory_.threads.at(block)) {
      const bool isKnown = in.get<uint8_t>() != 0;
      LastSeen seen;
      seen.node = NodeId(in.get<uint32_t>());
      seen.incarnation = in.get<uint32_t>();
      if (isKnown) router_->putLocation(thread.id, seen);
    }
  }
  return in.finished();
}

}  // namespace jvmc::sim
