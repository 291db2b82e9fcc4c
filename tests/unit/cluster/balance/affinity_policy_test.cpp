// The affinity policy on made-up programs: threads that use objects of several homes, where they are and where they go.
#include <gtest/gtest.h>

#include <map>

#include "cluster/balance/plan.h"

namespace jvmc::cluster {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr uint64_t kLarge = uint64_t(4) << 30;  // too large to move
constexpr double kWaitNanos = 40'000;           // for an object of another node

/// What a thread does: how often it uses objects, by where they are. Of its own node's nothing is seen.
struct Program {
  std::map<uint32_t, double> uses;  ///< set of objects -> uses a second
  double cpu = 1;                   ///< share of a core that it wants when it waits for nothing
  bool pinned = false;
};

/// Nodes of one worker, threads on them, sets of objects with a home each.
class World {
 public:
  explicit World(uint32_t nodes, BalanceOptions options = {}) : options_(options), nodes_(nodes) {
    options_.policy = BalancePolicy::Affinity;
  }
  World& objects(uint32_t home, uint64_t bytes = 1 << 20) {
    homes_.push_back(home);
    bytes_.push_back(bytes);
    return *this;
  }
  World& thread(uint32_t node, Program program) {
    at_.push_back(node);
    programs_.push_back(std::move(program));
    return *this;
  }

  /// Rounds of 50 ms; moves happen at once.
  uint32_t run(int rounds) {
    uint32_t moved = 0;
    for (int i = 0; i < rounds; ++i) {
      nowNanos_ += 50 * kMillisecond;
      BalanceDecision decision = decide(options_, snapshot(), history_);
      history_ = std::move(decision.history);
      for (const Move& move : decision.moves) {
        EXPECT_EQ(at_[move.thread.id - 1], move.from.value);
        EXPECT_FALSE(programs_[move.thread.id - 1].pinned);
        EXPECT_FALSE(move.reason.empty());
        at_[move.thread.id - 1] = move.to.value;
        ++moved;
      }
      for (const BlockMove& move : decision.blockMoves) {
        EXPECT_TRUE(move.used);
        ++blockMoves;
        for (uint32_t set = 0; set < homes_.size(); ++set)
          if (homes_[set] == move.from.value && mostlyUsedBy(set) == move.to.value) homes_[set] = move.to.value;
      }
    }
    return moved;
  }

  double remoteUses() const {
    double sum = 0;
    for (size_t i = 0; i < at_.size(); ++i)
      for (auto [set, uses] : programs_[i].uses) sum += homes_[set] != at_[i] ? uses : 0;
    return sum;
  }
  uint32_t threadsOn(uint32_t node) const { return uint32_t(std::count(at_.begin(), at_.end(), node)); }
  uint32_t nodeOf(size_t thread) const { return at_[thread]; }
  uint32_t homeOf(uint32_t set) const { return homes_[set]; }

  uint32_t blockMoves = 0;

 private:
  /// The node whose requests for the set are more than all others' together; else none.
  std::optional<uint32_t> mostlyUsedBy(uint32_t set) const {
    std::map<uint32_t, double> users;
    double all = 0;
    for (size_t i = 0; i < at_.size(); ++i) {
      const auto use = programs_[i].uses.find(set);
      if (use == programs_[i].uses.end() || at_[i] == homes_[set]) continue;
      users[at_[i]] += use->second;
      all += use->second;
    }
    for (auto [node, uses] : users)
      if (uses > all / 2) return node;
    return std::nullopt;
  }

  LoadSnapshot snapshot() const {
    LoadSnapshot snapshot;
    snapshot.nowNanos = nowNanos_;
    for (uint32_t node = 0; node < nodes_; ++node) {
      NodeLoad load;
      load.node = NodeId(node);
      for (size_t i = 0; i < at_.size(); ++i)
        if (at_[i] == node) load.threads.push_back(threadLoad(i));
      double wanted = 0;
      for (const ThreadLoad& thread : load.threads) wanted += thread.wanted;
      for (ThreadLoad& thread : load.threads)
        thread.cpu = std::min(thread.wanted, thread.wanted / std::max(wanted, 1.0));
      load.occupied = std::min(1.0, wanted);
      for (uint32_t set = 0; set < homes_.size(); ++set)
        if (const auto user = mostlyUsedBy(set); homes_[set] == node && user)
          load.usedBy.push_back({NodeId(*user), usesFrom(*user, set), bytes_[set]});
      snapshot.nodes.push_back(std::move(load));
    }
    return snapshot;
  }
  double usesFrom(uint32_t node, uint32_t set) const {
    double sum = 0;
    for (size_t i = 0; i < at_.size(); ++i)
      if (const auto use = programs_[i].uses.find(set); at_[i] == node && use != programs_[i].uses.end())
        sum += use->second;
    return sum;
  }
  ThreadLoad threadLoad(size_t i) const {
    std::map<uint32_t, double> byHome;
    for (auto [set, uses] : programs_[i].uses)
      if (homes_[set] != at_[i]) byHome[homes_[set]] += uses;
    ThreadLoad load;
    load.thread = {i + 1, 0};
    load.pinned = programs_[i].pinned;
    load.runnable = programs_[i].cpu > 0;
    double waits = 0;
    for (auto [home, uses] : byHome) {
      const double wait = std::min(uses * kWaitNanos / 1e9, 0.5);
      load.uses.push_back({NodeId(home), uses, uses * 100, wait});
      waits += wait;
    }
    load.wanted = std::max(0.0, programs_[i].cpu - waits);
    load.active = programs_[i].cpu;
    return load;
  }

  BalanceOptions options_;
  uint32_t nodes_;
  std::vector<uint32_t> homes_;
  std::vector<uint64_t> bytes_;
  std::vector<uint32_t> at_;
  std::vector<Program> programs_;
  int64_t nowNanos_ = 0;
  BalanceHistory history_;
};

TEST(AffinityPolicyTest, TwoGroupsThatStartMixedEndSeparatedAndStay) {
  World world(2);
  world.objects(0).objects(1);
  for (uint32_t i = 0; i < 8; ++i) world.thread(i % 2, {{{i / 4, 5000}}});
  const double before = world.remoteUses();
  world.run(100);
  EXPECT_LE(world.remoteUses(), before * 0.2);
  EXPECT_EQ(world.threadsOn(0), 4u) << "CPU stays even";
  EXPECT_EQ(world.run(400), 0u);
}

TEST(AffinityPolicyTest, FourGroupsOnFourNodes) {
  World world(4);
  for (uint32_t node = 0; node < 4; ++node) world.objects(node);
  for (uint32_t i = 0; i < 32; ++i) world.thread(i % 4, {{{i / 8, 4000}}});
  const double before = world.remoteUses();
  world.run(200);
  EXPECT_LE(world.remoteUses(), before * 0.2);
  for (uint32_t node = 0; node < 4; ++node) EXPECT_EQ(world.threadsOn(node), 8u);
}

TEST(AffinityPolicyTest, AThreadThatIsNotBusyGoesToItsObjects) {
  World world(2);
  world.objects(1).thread(0, {{{0, 3000}}, 0.3});
  EXPECT_EQ(world.run(10), 1u);
  EXPECT_EQ(world.nodeOf(0), 1u);
}

TEST(AffinityPolicyTest, CpuIsNotGivenUpForNearness) {
  World world(2);
  world.objects(0);
  for (uint32_t i = 0; i < 8; ++i) world.thread(i % 2, {{{0, 5000}}});
  world.run(200);
  EXPECT_EQ(world.threadsOn(0), 4u);
  EXPECT_EQ(world.threadsOn(1), 4u);
}

TEST(AffinityPolicyTest, BlocksComeToAThreadThatUsesSeveralHomes) {
  World world(3);
  world.objects(1).objects(2).thread(0, {{{0, 4000}, {1, 4000}}}).thread(1, {}).thread(2, {});
  EXPECT_EQ(world.run(100), 0u);
  EXPECT_EQ(world.homeOf(0), 0u);
  EXPECT_EQ(world.homeOf(1), 0u);
}

TEST(AffinityPolicyTest, BlocksThatCostMoreThanTheyBringStay) {
  BalanceOptions options;
  options.affinityBytesPerMove = uint64_t(1) << 40;
  World world(2, options);
  world.objects(1, kLarge).thread(0, {{{0, 2000}}}).thread(1, {});
  EXPECT_EQ(world.run(100), 0u);
  EXPECT_EQ(world.blockMoves, 0u);
}

TEST(AffinityPolicyTest, AThreadThatUsesMoreWhereItWasGoesBackOnceAndStays) {
  World world(2);
  world.objects(0, kLarge).objects(1, kLarge).thread(0, {{{0, 5000}, {1, 2000}}, 0.4});
  EXPECT_EQ(world.run(200), 2u);
  EXPECT_EQ(world.nodeOf(0), 0u) << "what it uses of its own node is seen only when it has left";
}

TEST(AffinityPolicyTest, ItIsTriedAgainWhenThatIsForgotten) {
  BalanceOptions options;
  options.rememberNanos = 5'000 * kMillisecond;
  World world(2, options);
  world.objects(0, kLarge).objects(1, kLarge).thread(0, {{{0, 5000}, {1, 2000}}, 0.4});
  const uint32_t moves = world.run(600);  // 30 s
  EXPECT_GE(moves, 4u);
  EXPECT_LE(moves, 14u);
}

TEST(AffinityPolicyTest, ALittleTrafficMovesNothing) {
  World world(2);
  world.objects(1).thread(0, {{{0, 300}}, 0.4});
  EXPECT_EQ(world.run(200), 0u);
  EXPECT_EQ(world.blockMoves, 0u);
}

TEST(AffinityPolicyTest, PinnedThreadsStayWhateverTheyUse) {
  World world(2);
  world.objects(1, 64 << 20).thread(0, {{{0, 5000}}, 0.4, true});
  EXPECT_EQ(world.run(100), 0u);
  EXPECT_EQ(world.nodeOf(0), 0u);
}

TEST(AffinityPolicyTest, BusyThreadsAreEvenedOutFirst) {
  World world(2);
  world.objects(0);
  for (uint32_t i = 0; i < 6; ++i) world.thread(0, {{{0, 5000}}});
  world.run(100);
  EXPECT_EQ(world.threadsOn(0), 3u);
}

TEST(AffinityPolicyTest, AMoveOfBlocksThatBringsNothingIsNotRepeatedForLong) {
  // Both nodes use the objects equally: wherever they are, the other asks for them.
  World world(2);
  world.objects(1, 64 << 10);
  for (uint32_t i = 0; i < 4; ++i) world.thread(i % 2, {{{0, 5000}}});
  world.run(500);  // 25 s
  EXPECT_LE(world.blockMoves, 2u);
}

}  // namespace
}  // namespace jvmc::cluster
