// The order of steps in which nodes join a running program and leave it; why it is this one is told in
// docs/internals/membership.md. What nodes do at each step is behind a port, and there is no thread, clock or network
// in here: the launcher (cluster/launch/program_members.cpp) and the simulator run the same steps.
//
//   Joining --begun--> Member --drain--> Leaving --empty--> Gone
//      \--failed--> Gone           ^--could not get empty--/
//
// One change goes on at a time; the others wait for their turn.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "cluster/launch/views.h"
#include "cluster/membership/program_end.h"
#include "runtime/outside.h"

namespace jvmc::cluster {

/// Who belongs to the program, as nodes are told.
struct MembersView {
  uint64_t number = 0;  ///< grows; a node refuses one that is older than what it knows
  std::vector<NodeId> nodes, places;
  std::vector<NodeId> joining;  ///< may call, but are no members yet
};

/// What a node leaves to the others.
struct Bequest {
  NodeId node;
  std::vector<uint8_t> homes;  ///< HomeMap::beliefs
  EndBequest end;
};

/// What the steps need of nodes and of whoever runs them. Each `done` is called once, later or at once, with an error
/// if the node cannot do it (any more).
class MemberPort {
 public:
  template <class T>
  using Answer = std::function<void(Result<T>)>;
  using Done = Answer<Unit>;
  struct Contents {
    uint64_t threads = 0, bytes = 0;
  };
  struct Evacuated {
    LeftView left;                         ///< as it was before any calls were given away
    std::vector<rt::OutsideCall> calls{};  ///< without an answer; not the node's any more
  };

  virtual ~MemberPort() = default;

  // -- asked of a node
  /// `leaver`: what is taken over from one that has gone, or null; there during the call only.
  virtual void setMembers(NodeId node, const MembersView& view, const Bequest* leaver, Done done) = 0;
  /// It gets the program, and what those have left behind that have gone, oldest first; and calls all others.
  virtual void prepare(NodeId node, const std::vector<std::vector<uint8_t>>& homes, Done done) = 0;
  virtual void begin(NodeId node, Done done) = 0;
  /// Done when `with` has answered all that it was asked before.
  virtual void settle(NodeId node, NodeId with, Done done) = 0;
  virtual void contents(NodeId node, Answer<Contents> answer) = 0;
  /// Asks all threads to go. Calls of the outside are given away when no thread is left.
  virtual void evacuate(NodeId node, Answer<Evacuated> answer) = 0;
  /// Their answers come to this node, and go to their threads wherever these are.
  virtual void takeOverCalls(NodeId node, const std::vector<rt::OutsideCall>& calls, Done done) = 0;
  /// To the targets in turns. A refusal means that none of them had room.
  virtual void moveBlocks(NodeId node, const std::vector<NodeId>& targets, uint64_t bytes,
                          Answer<BlocksMovedView> answer) = 0;
  virtual void bequeath(NodeId node, Answer<Bequest> answer) = 0;
  /// Done when all others have got what it has sent them.
  virtual void flush(NodeId node, Done done) = 0;
  /// It has left: its process ends.
  virtual void dismiss(NodeId node, Done done) = 0;

  // -- of whoever runs the steps
  /// The node could not join: nothing is left of it.
  virtual void forget(NodeId node) = 0;
  virtual int64_t now() = 0;
  virtual void after(int64_t nanos, std::function<void()> what) = 0;
  /// The program is over, or about to be: what still fails fails because of that.
  virtual bool isEnding() = 0;
  /// The program cannot go on.
  virtual void fail(std::string why) = 0;
};

/// On one thread. Must outlive what it has asked of the port.
class MemberChanges {
 public:
  enum class State : uint8_t {
    Joining,
    Member,
    Leaving,  ///< still a member, but takes neither threads nor blocks
    Gone,
  };
  using StartProcess = std::function<void(NodeId, MemberPort::Done)>;

  /// The program begins with `nodes`, which are joining.
  MemberChanges(MemberPort& port, uint32_t nodes);

  /// They have begun.
  void begun();
  /// The node's process has ended: if it is joining, it never will be a member.
  void lost(NodeId node) { members_[node.index()].lost = true; }

  /// Takes in a node, for which `start` makes a process that can be talked to.
  void grow(StartProcess start, MemberPort::Answer<NodeId> done);
  /// Tells a node to leave (`begin`), or asks how far it is with that. `deadlineNanos`: it stays if it is not empty by
  /// then; 0: there is none.
  Result<DrainView> drain(NodeId node, bool begin, int64_t deadlineNanos);

  State state(NodeId node) const { return members_[node.index()].state; }
  bool isKnown(NodeId node) const { return node.index() < members_.size(); }
  bool isMember(NodeId node) const;
  std::vector<NodeId> members() const;
  std::vector<NodeId> places() const;
  /// A change is going on.
  bool isBusy() const { return isBusy_; }

 private:
  using Then = std::function<void()>;
  using Failed = std::function<void(const Error&)>;
  struct Member {
    State state = State::Joining;
    bool lost = false;
  };
  struct Drain {
    DrainView view;
    int64_t begunNanos;
    int64_t deadlineNanos;
  };

  template <class T>
  static MemberPort::Answer<T> next(Failed failed, std::function<void(T)> then);
  static MemberPort::Done next(Failed failed, Then then);
  void inTurn(Then change);
  void turnIsOver();
  std::vector<NodeId> with(std::initializer_list<State> states) const;
  void tellMembers(const Bequest* leaver, MemberPort::Done done);
  void askAll(const std::vector<NodeId>& nodes, const std::function<void(NodeId, MemberPort::Done)>& ask,
              MemberPort::Done done);

  void addNode(const StartProcess& start, const MemberPort::Answer<NodeId>& done);
  void takeIn(NodeId node, const Failed& failed, const Then& then);
  void leave(NodeId node);
  void settleOthers(NodeId node, MemberPort::Done done);
  void estimate(NodeId node, const MemberPort::Contents& contents);
  void evacuate(NodeId node, uint32_t refusals);
  void moved(NodeId node, uint32_t refusals, const BlocksMovedView& moved);
  void takeLeave(NodeId node);
  void couldNotLeave(NodeId node, const std::string& why);
  void drainIsOver(NodeId node, const char* state);

  MemberPort& port_;
  std::vector<Member> members_;                  // by id
  std::map<NodeId, Drain> drains_;               // the last one of each node
  std::vector<std::vector<uint8_t>> homesLeft_;  // by nodes that have gone, oldest first
  uint64_t view_ = 0;                            // counts what tellMembers tells
  std::deque<Then> waiting_;
  bool isBusy_ = false;
};

}  // namespace jvmc::cluster
