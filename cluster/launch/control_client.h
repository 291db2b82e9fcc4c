// Asks running clusters: what `ps`, `nodes`, `inspect`, `migrate` and `stop` are made of. Calls block.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/endpoint.h"
#include "cluster/launch/views.h"
#include "ir/support/result.h"

namespace jvmc::cluster {

/// A connection to one launcher or agent. One thread.
class ControlClient {
 public:
  /// Fails with kUnavailable if nobody answers, kRefused if the key is wrong.
  static Result<std::unique_ptr<ControlClient>> connect(const Endpoint& endpoint);
  virtual ~ControlClient() = default;

  virtual Result<std::vector<ProgramView>> programs() = 0;
  virtual Result<std::vector<AgentView>> agents() = 0;
  /// `program` is an id or a prefix of one; empty: the only one. kNotFound or kInvalidInput (ambiguous) otherwise.
  virtual Result<std::vector<NodeView>> nodes(const std::string& program) = 0;
  virtual Result<std::vector<ThreadView>> threads(const std::string& program) = 0;
  /// A JSON object of each node that answers (ProgramNode::inspect).
  virtual Result<std::vector<std::string>> inspect(const std::string& program, uint32_t classes, bool collect) = 0;
  /// The answer of each node to a request as in cluster/launch/observer.h.
  virtual Result<std::vector<std::string>> observe(const std::string& program, const std::string& request) = 0;
  virtual Status migrate(const std::string& program, uint64_t thread, uint32_t node) = 0;
  /// Pins a thread, at `node` if there is one, or unpins it.
  virtual Status pin(const std::string& program, uint64_t thread, bool pinned, std::optional<uint32_t> node) = 0;
  /// What the balancer has decided, oldest first.
  virtual Result<DecisionsView> decisions(const std::string& program) = 0;
  /// Returns when the blocks have moved.
  virtual Result<BlocksMovedView> moveBlocks(const std::string& program, uint32_t source, uint32_t target,
                                             uint64_t bytes) = 0;
  /// Starts a node more for a running program; its number, once it takes threads. `agent`: the one that is to start it;
  /// empty: any.
  virtual Result<uint32_t> grow(const std::string& program, const std::string& agent) = 0;
  /// Tells a node to leave, if `begin`; says how far it is. `deadlineNanos`: then it stays; 0: none.
  virtual Result<DrainView> drain(const std::string& program, uint32_t node, bool begin, int64_t deadlineNanos) = 0;
  /// The id of the program that was stopped.
  virtual Result<std::string> stop(const std::string& program) = 0;
};

}  // namespace jvmc::cluster
