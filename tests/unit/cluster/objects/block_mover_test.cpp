// Which target gets which blocks. What is in them, and who uses them meanwhile: the litmus tests and the simulator.
#include <unistd.h>

#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "tests/unit/cluster/objects/lone_node.h"

namespace jvmc::cluster {
namespace {

/// Has blocks of its own, without objects, and two peers.
class Source final : public test::LoneNode {
 public:
  explicit Source(uint64_t blocks) {
    for (uint64_t i = 0; i < blocks; ++i) here.push_back({test::kPlan.base + i * rt::kBlockBytes, 1, false});
  }
  ~Source() override {
    for (std::thread& each : refusing) each.join();
    space.mover().stop();
  }

  MoveResult move(uint64_t bytes) {
    std::promise<MoveResult> result;
    const auto noted = [this](const rt::BlockGroup& group, NodeId target) { gone[target].push_back(group.address); };
    space.mover().move(
        {NodeId(1), NodeId(2)}, bytes, [&](const MoveResult& moved) { result.set_value(moved); }, {}, noted);
    return result.get_future().get();
  }

  std::vector<rt::BlockGroup> withdraw(uint64_t bytes, const std::set<uint64_t>&) override {
    std::lock_guard lock(mutex);
    std::vector<rt::BlockGroup> groups;
    for (; !here.empty() && (groups.empty() || (groups.size() + 1) * rt::kBlockBytes <= bytes); here.pop_front())
      groups.push_back(here.front());
    return groups;
  }
  void restore(const rt::BlockGroup& group) override {
    std::lock_guard lock(mutex);
    here.push_back(group);
  }
  int64_t now() const override { return 0; }  // no stop takes long: windows grow alike in each run
  std::vector<NodeId> nodes() const override { return {NodeId(0), NodeId(1), NodeId(2)}; }
  void request(NodeId to, Channel, Bytes payload, std::function<void(Result<Bytes>)> done) override {
    const bool prepare = payload[0] == uint8_t(ObjectMessage::Prepare);
    if (prepare && full.contains(to)) {
      refusing.emplace_back([done = std::move(done)] {
        usleep(2'000);  // by then the mover finds nothing more to withdraw
        done(Bytes{uint8_t(ReplyStatus::Refused)});
      });
      return;
    }
    done(prepare ? Bytes{uint8_t(ReplyStatus::Done)} : Bytes{uint8_t(ReplyStatus::Done), 0});
  }

  std::mutex mutex;
  std::deque<rt::BlockGroup> here;  // guarded by mutex
  std::vector<std::thread> refusing;
  std::set<NodeId> full;
  std::map<NodeId, std::vector<uint64_t>> gone;
};

TEST(BlockMover, TargetsGetBlocksInTurns) {
  Source source(64);
  const MoveResult moved = source.move(64 * rt::kBlockBytes);
  EXPECT_EQ(moved.bytes, 64 * rt::kBlockBytes);
  EXPECT_EQ(moved.refusal.message, "");
  EXPECT_EQ(source.gone[NodeId(1)].size() + source.gone[NodeId(2)].size(), 64u);
  EXPECT_NEAR(double(source.gone[NodeId(1)].size()), 32, 4);
}

TEST(BlockMover, WhatOneTargetRefusesGoesToTheOther) {
  for (uint64_t blocks : {1, 2, 50}) {
    Source source(blocks);
    source.full = {NodeId(1)};
    const MoveResult moved = source.move(blocks * rt::kBlockBytes);
    EXPECT_EQ(moved.bytes, blocks * rt::kBlockBytes);
    EXPECT_EQ(moved.refusal.message, "");
    EXPECT_EQ(source.gone[NodeId(2)].size(), blocks);
    EXPECT_TRUE(source.here.empty());
  }
}

TEST(BlockMover, BlocksStayThatAllRefuse) {
  Source source(5);
  source.full = {NodeId(1), NodeId(2)};
  const MoveResult moved = source.move(5 * rt::kBlockBytes);
  EXPECT_EQ(moved.bytes, 0u);
  EXPECT_NE(moved.refusal.message, "");
  EXPECT_TRUE(source.gone.empty());
  EXPECT_EQ(source.here.size(), 5u);
}

}  // namespace
}  // namespace jvmc::cluster
