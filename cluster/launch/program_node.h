// A program on one node, as the VM process sees it. The real one is a Vm with its cluster services
// (vm_program_node.cpp); tests of launching bring a small one without guest code.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/launch/start_plan.h"
#include "cluster/launch/views.h"
#include "cluster/membership/control_channel.h"
#include "runtime/outside.h"
#include "runtime/thread_events.h"

namespace jvmc::cluster {

/// Methods are called by the VM process's main thread unless they say otherwise.
class ProgramNode {
 public:
  virtual ~ProgramNode() = default;
  /// All nodes are prepared. The first node starts the main thread, after the others have begun.
  virtual void begin() = 0;
  /// Ends all guest threads; this node's part of the statistics as a JSON object. Blocks until no guest code runs.
  virtual std::string finish() = 0;

  virtual std::vector<ThreadView> threads() = 0;
  /// Fills what the VM knows: threads, heapBytes.
  virtual void describe(NodeView& view) = 0;
  /// What lies on this node, and the statistics so far, as a JSON object. `classes`: how many to list. Takes about 20
  /// ns an object, while the program goes on; `collect` stops it for a collection first.
  virtual std::string inspect(uint32_t classes, bool collect) = 0;
  /// The statistics so far alone, as a JSON object: cheap enough to be asked for every second.
  virtual std::string counters() = 0;
  /// Answers who looks at the running program (cluster/launch/observer.h): JSON objects both.
  virtual Result<std::string> observe(const std::string& request) = 0;
  /// Asks a thread to move. False if it is not on this node.
  virtual bool migrate(uint64_t thread, NodeId target) = 0;
  /// Pins a thread, here or at `target`, or unpins it. False if it is not on this node.
  virtual bool pin(uint64_t thread, bool pinned, NodeId target) = 0;
  /// What this node's balancer has decided, oldest first.
  virtual std::vector<DecisionView> decisions() = 0;
  /// Moves at most `bytes` of blocks homed here to `target`; `done` runs once, on any thread, unless the program ends
  /// before.
  virtual void moveBlocks(std::vector<NodeId> targets, uint64_t bytes, std::function<void(BlocksMovedView)> done) = 0;
  /// Asks threads here to move to other places, those that are pinned too: all, or while blocks leave those that do not
  /// wait for one to go with (cluster/migration/departure_plan.h). What is left here, or on its way from or to here.
  virtual LeftView evacuate() = 0;
  /// Any thread: where the blocks are that have moved, as this node knows (HomeMap::beliefs); and believes another's.
  virtual std::vector<uint8_t> homes() = 0;
  virtual bool takeOverHomes(std::span<const uint8_t> homes) = 0;
  /// I/O loop: the members of the program are others now; `places`: those that threads may go to.
  virtual void noteMembers(std::span<const NodeId> nodes, std::span<const NodeId> places) = 0;
  /// Any thread: all guest threads stand still, or go on.
  virtual void freeze(bool frozen) = 0;
  /// I/O loop: the launcher's answer to a thread's outside call.
  virtual void completeOutside(const rt::ThreadRef& thread, uint64_t ticket, rt::OutsideResult result) = 0;
};

/// What a ProgramNode is made of; everything outlives it.
struct ProgramNodeParts {
  const StartPlan& plan;
  ControlChannel& control;  ///< and its NodeNet
  rt::OutsideWorld& outside;
  rt::ThreadEvents& events;
  std::function<void(Error)> fatal;  ///< the program cannot go on; any thread
};
using MakeProgramNode = std::function<Result<std::unique_ptr<ProgramNode>>(const ProgramNodeParts&)>;

}  // namespace jvmc::cluster
