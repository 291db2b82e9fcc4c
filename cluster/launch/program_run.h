// Runs one program on VM processes that listen already: the launcher's side of schema/launch.capnp, wherever the
// processes were started (children of ours, or of agents).
//
//   connecting -> preparing -> running -> finishing -> over
//
// Nodes may join while it runs (grow) and leave (drain). One membership change goes on at a time.
//
// Whatever ends the program (its last thread, `exit`, a signal, a lost node, a time limit) goes through end(), once:
// the first reason counts.
#pragma once

#include <kj/function.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/outside_service.h"
#include "cluster/launch/start_plan.h"
#include "cluster/launch/views.h"
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
  struct Node {
    kj::Own<RpcConnection> connection;
    kj::Maybe<schema::VmProcess::Client> vm;
    uint32_t threads = 0;
    std::vector<std::string> threadNames;
    enum class State {
      Joining,
      Member,
      Leaving,  ///< still a member, but takes neither threads nor blocks
      Gone
    } state = State::Joining;
    bool lost = false;
    kj::TimePoint lastWord = kj::origin<kj::TimePoint>();  ///< it has renewed its lease
  };

  kj::Promise<void> connect(uint32_t node);
  kj::Promise<void> prepare(uint32_t node);
  kj::Promise<void> startAll();
  kj::Promise<RunOutcome> finishAll();
  kj::Promise<void> finish(uint32_t node);
  void connectionLost(uint32_t node);
  void watchLeases();
  void loseNode(uint32_t node, const std::string& how);
  kj::Promise<std::vector<NodeView>> nodeViews();
  kj::Promise<std::vector<ThreadView>> threadViews();
  kj::Promise<std::vector<std::string>> inspect(uint32_t classes, bool collect, bool countersOnly);
  kj::Promise<std::vector<std::string>> observe(const std::string& request);
  kj::Promise<uint32_t> grow(std::string agent);
  void agentJoined(const std::string& agent);
  kj::Promise<uint32_t> addNode(std::string agent);
  kj::Promise<void> takeIn(uint32_t node, RunTarget target);
  Result<DrainView> drain(uint32_t node, bool begin, int64_t deadlineNanos);
  kj::Promise<void> leave(uint32_t node);
  kj::Promise<void> settleOthers(uint32_t node);
  /// Tells how long it will take.
  kj::Promise<void> estimate(uint32_t node);
  kj::Promise<void> evacuate(uint32_t node, uint32_t refusals);
  kj::Promise<void> dismiss(uint32_t node);
  kj::Promise<void> tellMembers(kj::Maybe<schema::Bequest::Reader> leaver = nullptr);
  /// Does `change`, which gives the node concerned, after the membership changes before it, whatever becomes of these.
  kj::Promise<uint32_t> inTurn(kj::Function<kj::Promise<uint32_t>()> change);
  std::vector<uint32_t> placeIds() const;
  std::vector<uint32_t> members() const;
  bool isMember(uint32_t node) const;
  kj::Promise<void> migrate(uint64_t thread, uint32_t target);
  kj::Promise<void> pin(uint64_t thread, bool pinned, uint32_t target);
  kj::Promise<std::vector<DecisionView>> decisions();
  kj::Promise<BlocksMovedView> moveBlocks(uint32_t source, uint32_t target, uint64_t bytes);
  schema::VmProcess::Client& vm(uint32_t node) { return KJ_ASSERT_NONNULL(nodes_[node].vm); }

  IoLoop& loop_;
  Credentials credentials_;
  RunRequest request_;
  OutsideService& outside_;
  StartNode startNode_;
  std::vector<Node> nodes_;  // by id
  struct Drain {
    DrainView view;
    kj::TimePoint begun;
    int64_t deadlineNanos;
  };
  std::map<uint32_t, Drain> drains_;           // by node
  kj::ForkedPromise<void> changes_ = nullptr;  // done when the membership changes so far are
  uint64_t view_ = 0;                          // counts what tellMembers tells
  std::string state_ = "starting";
  int64_t startedUnixMillis_;
  kj::TimePoint begunAt_;
  RunOutcome outcome_;
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> ended_;  // null once the end has a reason
  kj::Promise<void> end_ = nullptr;
};

}  // namespace jvmc::cluster
