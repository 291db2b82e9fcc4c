// Runs one program on VM processes that listen already: the launcher's side of schema/launch.capnp, wherever the
// processes were started (children of ours, or of agents).
//
//   connecting -> preparing -> running -> finishing -> over
//
// Nodes may join while it runs (grow) and leave (drain): the steps are MemberChanges', what they are over RPC is in
// program_members.cpp.
//
// Whatever ends the program (its last thread, `exit`, a signal, a lost node, a time limit) goes through end(), once:
// the first reason counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/last_words.h"
#include "cluster/launch/outside_service.h"
#include "cluster/launch/start_plan.h"
#include "cluster/launch/views.h"
#include "cluster/membership/member_changes.h"
#include "cluster/net/key.h"
#include "cluster/net/rpc_connection.h"
#include "schema/agent.capnp.h"

namespace jvmc::cluster {

/// Exit codes of `run` that are not the guest's.
enum RunExit : int {
  kExitTimeout = 124,
  kExitOwnFailure = 125,
  kExitCannotInvoke = 126,
  kExitNotFound = 127,
  kExitSignal = 128
};

struct RunOutcome {
  int exitCode = 0;
  std::string error;               ///< one line for stderr; empty if the guest decided
  std::vector<std::string> stats;  ///< JSON of each node that could still answer, by node; "" otherwise
  int64_t wallNanos = 0;           ///< from `begin` to the end
};

struct RunTarget {
  std::string address;
  uint32_t pid = 0;
  std::string agent{};  ///< address of the one that runs it; empty: a child of the launcher
};

struct RunRequest {
  std::string program;  ///< id
  std::string name;     ///< for people
  StartPlan plan;       ///< peers are filled in from the targets
  std::vector<RunTarget> targets;
  bool followsAgents = false;  ///< a node is started on each agent that joins
};

/// Starts a VM process for node `node`, at the agent with this address if it is not empty. On the loop.
using StartNode = std::function<kj::Promise<RunTarget>(uint32_t node, std::string agent)>;

/// Lives on the loop.
class ProgramRun final {
 public:
  ProgramRun(IoLoop& loop, Credentials credentials, RunRequest request, OutsideService& outside, StartNode startNode);
  ~ProgramRun() noexcept(false);

  /// Runs the program to its end. Once.
  kj::Promise<RunOutcome> run();
  /// Ends the program: a signal, a time limit, a command, an `exit` of the guest.
  void end(int exitCode, std::string error);
  /// The VM process of a node has ended; `how` as describeExit says it.
  void nodeEnded(uint32_t node, const std::string& how);

  /// The node's process is no member (yet), and does not end when the program does.
  bool isJoining(uint32_t node) const;

  /// Serves ps, nodes, migrate and stop for this program.
  schema::Control::Client control();
  ProgramView describe() const;

 private:
  class LauncherServer;
  class ControlServer;
  class MemberRpc;
  struct Node {
    kj::Own<RpcConnection> connection;
    kj::Maybe<schema::VmProcess::Client> vm;
    uint32_t threads = 0;
    std::vector<std::string> threadNames;
    bool lost = false;
    kj::TimePoint lastWord = kj::origin<kj::TimePoint>();  ///< it has renewed its lease
  };

  kj::Promise<void> connect(uint32_t node);
  kj::Promise<void> prepare(uint32_t node);
  kj::Promise<void> startAll();
  kj::Promise<RunOutcome> finishAll();
  kj::Promise<void> finish(uint32_t node);
  kj::Promise<void> hearLastWords(uint32_t node);
  kj::Promise<void> lastWordsTaken();
  void connectionLost(uint32_t node);
  void watchLeases();
  void loseNode(uint32_t node, const std::string& how);
  kj::Promise<std::vector<NodeView>> nodeViews();
  kj::Promise<std::vector<ThreadView>> threadViews();
  kj::Promise<std::vector<std::string>> inspect(uint32_t classes, bool collect, bool countersOnly);
  kj::Promise<std::vector<std::string>> observe(const std::string& request);
  kj::Promise<uint32_t> grow(std::string agent);
  Result<DrainView> drain(uint32_t node, bool begin, int64_t deadlineNanos) {
    return changes_.drain(NodeId(node), begin, deadlineNanos);
  }
  void agentJoined(const std::string& agent);
  std::unique_ptr<MemberPort> memberPort();
  void addNode(NodeId node, const std::string& agent, const MemberPort::Done& done);
  kj::Promise<void> dismiss(uint32_t node);
  void hangUp(uint32_t node);
  std::vector<uint32_t> members() const;
  bool isMember(uint32_t node) const { return changes_.isMember(NodeId(node)); }
  bool has(uint32_t node, MemberChanges::State state) const { return changes_.state(NodeId(node)) == state; }
  kj::Promise<void> migrate(uint64_t thread, uint32_t target);
  kj::Promise<void> pin(uint64_t thread, bool pinned, uint32_t target);
  kj::Promise<std::vector<DecisionView>> decisions();
  kj::Promise<void> keepDecisions(uint32_t node);
  kj::Promise<BlocksMovedView> moveBlocks(uint32_t source, uint32_t target, uint64_t bytes);
  schema::VmProcess::Client& vm(uint32_t node) { return KJ_ASSERT_NONNULL(nodes_[node].vm); }

  IoLoop& loop_;
  Credentials credentials_;
  RunRequest request_;
  OutsideService& outside_;
  StartNode startNode_;
  std::vector<Node> nodes_;  // by id
  struct KeptDecision {
    DecisionView view;
    kj::TimePoint keptAt;
  };
  std::vector<KeptDecision> decisionsLeft_;  // by nodes that have gone, oldest first
  LastWords lastWords_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> lastWordsTaken_;  // at the end of the program
  const std::unique_ptr<MemberPort> port_;
  MemberChanges changes_;
  std::string state_ = "starting";
  int64_t startedUnixMillis_;
  kj::TimePoint begunAt_;
  RunOutcome outcome_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> ended_;  // null once the end has a reason
  kj::Promise<void> end_ = nullptr;
};

}  // namespace jvmc::cluster
