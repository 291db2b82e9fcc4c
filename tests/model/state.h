// The state of the modelled cluster: what each node remembers, which messages are on their way, and what a checker
// outside of the cluster knows about the order of things. Plain bytes, so that a state is hashed and compared as such.
//
// Names follow cluster/objects: HomeState and BlockHome (home_map.h), Entry (entry_table.h), the messages (messages.h,
// block_mover.cpp). An object is its own block. A field holds the number of the write that was stored there last; 0 is
// what it held at first.
#pragma once

#include <compare>
#include <cstdint>
#include <type_traits>

#include "cluster/objects/home_map.h"

namespace jvmc::cluster::model {

inline constexpr int kNodes = 3, kObjects = 3, kThreads = 4, kFields = 2, kMessages = 12;

using Threads = uint8_t;  ///< a set, a bit each; behind the threads the nodes, for what they owe
using Nodes = uint8_t;    ///< likewise
using Writes = uint16_t;  ///< a set, a bit for each numbered write

inline constexpr uint8_t kInvalid = 0;     ///< rt::kEpochInvalid
inline constexpr uint8_t kHome = 255;      ///< rt::kEpochHome
inline constexpr uint8_t kShared = 254;    ///< rt::kEpochShared
inline constexpr uint8_t kLeased = 253;    ///< rt::kEpochLeased
inline constexpr uint8_t kBorrowed = 252;  ///< a copy that is on loan here
inline constexpr uint8_t kNobody = 0;      ///< no writer, no owner; thread t is t + 1
inline constexpr uint8_t kWritesMax = 16;  ///< numbers 1 to 15

/// An object as it lies in one node's memory, with the entry of the table if there is one.
struct Copy {
  uint8_t stamp = kInvalid;
  uint8_t writer = kNobody;  ///< the thread whose slot the header holds
  uint8_t field[kFields] = {};
  bool hasEntry = false, busy = false, flushing = false, hasTwin = false;
  bool recalled = false;  ///< Entry::recalled
  uint8_t twin[kFields] = {};
  Threads writers = 0;
  // Entry::waiters, by what they are.
  Threads waitingThreads = 0, waitingJobs = 0;
  uint8_t waitingMover = 0;  ///< a PREPARE from node - 1 to answer
};

/// What only the home knows: the volatile field and the monitor.
struct HomeOnly {
  uint8_t value = 0;
  uint8_t owner = kNobody;
  uint8_t queue[kThreads] = {};  ///< in order, kNobody at the end

  auto operator<=>(const HomeOnly&) const = default;
};

/// What the home knows of the leases of an object that is shared: Leases::Lease.
struct Lease {
  Nodes lessees = 0, unanswered = 0;
  bool recalling = false;
  Threads waiters = 0;
};

enum class LoanState : uint8_t {
  None,
  Reserved,  ///< for a node that has not asked yet; nobody has it
  Lent,      ///< the borrower has it, or it is on its way there or back
  Returned,  ///< the content is back, but perhaps not yet what the borrower owes
};

/// What the home knows of an object that is lent. Its header says LENT: too old for everyone.
struct Loan {
  LoanState state = LoanState::None;
  uint8_t borrower = 0;
  bool recalling = false;
  Threads waiters = 0;
  uint8_t after = 0;  ///< Reserved: it is given when so many jobs of what the home owes have ended
};

/// A monitor that is at another node than its object: what the home and the borrower know of it (MonitorLoans).
struct MonitorLoan {
  uint8_t lentTo = 0;  ///< at home: a node, + 1
  bool recalling = false;
  Threads waiters = 0;
  uint8_t lentBy = 0;             ///< at the borrower: it is here; its home, + 1
  uint8_t number = 0;             ///< of that loan
  uint8_t given = 0;              ///< at home: number of the latest loan
  uint8_t recalled[kNodes] = {};  ///< at the borrower: the numbers of loans that have not come yet, by home
};

struct Belief {
  uint8_t node = 0;
  HomeState state = HomeState::Settled;
  uint8_t moves = 0;
};

enum class MoverState : uint8_t { Idle, Withdrawn, Preparing, Ready, Shipped };

struct Mover {
  MoverState state = MoverState::Idle;
  uint8_t object = 0, target = 0;
  uint8_t after = 0;  ///< Owed::done
};

/// What the threads of a node have released to each other, and nobody else knows of yet. One job after the other takes
/// it home.
struct Owed {
  uint8_t objects = 0;    ///< Flusher::deferred_
  bool runs = false;      ///< a job is on its way
  uint8_t pending = 0;    ///< Flusher::Job::pending
  uint8_t done = 0;       ///< how many jobs have ended
  uint8_t companion = 0;  ///< the thread whose release the job is as well, + 1
};

struct Node {
  uint8_t clock = 1;
  Copy copy[kObjects];
  HomeOnly home[kObjects];
  Lease lease[kObjects];
  Loan loan[kObjects];
  MonitorLoan monitor[kObjects];
  Belief belief[kObjects];
  Mover mover;
  Owed owed;
};

enum class Phase : uint8_t {
  Runs,         ///< will carry out its instruction
  Checked,      ///< has passed the slow path of the write check; will store
  WaitsFetch,   ///< for its own fetch
  WaitsBusy,    ///< for a transaction of somebody else
  WaitsBlock,   ///< for a block that changes its home
  WaitsLease,   ///< at home, until all leases are called back, or a loan or the monitor has come back
  Releases,     ///< parked until its writes are home
  WaitsAnswer,  ///< parked until the home has answered
  Done,
};

struct Thread {
  uint8_t pc = 0;
  Phase phase = Phase::Runs;
  bool inSlowPath = false;  ///< of the check of its present instruction
  uint8_t epoch = 1;
  uint8_t writeSet = 0;  ///< objects
  uint8_t pending = 0;   ///< Flusher::Job::pending
  // Since its fetch was sent (ClusterObjectSpace::Moment): objects whose flush has ended here; a block has come.
  uint8_t flushedSince = 0;
  bool adoptedSince = false;
};

enum class Kind : uint8_t {
  None,
  Fetch,
  FetchReply,
  Flush,
  FlushReply,
  Sync,
  SyncReply,
  AfterOwed,   ///< no message: a thread whose release goes with what its node owes
  SyncAgain,   ///< no message: a request that was sent on waits until it may be sent
  FlushAgain,  ///< no message: a job looks at an object again
  Mail,
  Prepare,
  PrepareReply,
  Blocks,
  BlocksReply,
  Unlease,
  UnleaseReply,
  Lend,
  Recall,
  Return,
  Settle,
  SettleReply,
  GiveUp,
  LeaseEnds,  ///< no message: a lessee is late with what it has answered already (only with a fault)
};

struct Message {
  Kind kind = Kind::None;
  uint8_t from = 0, to = 0, object = 0, thread = 0;
  uint8_t stamp = 0;   ///< Fetch and its reply
  uint8_t after = 0;   ///< it leaves when the sender has ended so many jobs of what it owes
  uint8_t moves = 0;   ///< as the sender believed, or as the block has had
  bool moved = false;  ///< replies: ask `newNode` instead, home after `newMoves`
  bool yes =
      false;  ///< SyncReply: answered; PrepareReply: ready; Flush: with the request; UnleaseReply: a loan was here
  uint8_t newNode = 0, newMoves = 0;
  uint8_t fields = 0;  ///< Flush, UnleaseReply: which
  uint8_t field[kFields] = {};
  bool leased = false;     ///< FetchReply
  bool lent = false;       ///< FetchReply; SyncReply: the monitor is there, or on its way
  uint8_t number = 0;      ///< Lend, Recall, Return
  bool owes = false;       ///< UnleaseReply
  bool neighbour = false;  ///< FetchReply: an image of the object's neighbour comes along
  uint8_t neighbourField[kFields] = {};
  HomeOnly home = {};  ///< Blocks; the value of a loan; the monitor in Lend and Return

  auto operator<=>(const Message&) const = default;
};

/// What the checker knows; the protocol does not look at it.
struct Ghost {
  Writes known[kThreads] = {};                       ///< writes that happen before what the thread does next
  Writes before[kWritesMax] = {};                    ///< of each write: those that happen before it
  Writes lock[kObjects] = {}, field[kObjects] = {};  ///< released through the monitor, the volatile field
};

struct State {
  Ghost ghost;
  Node node[kNodes];
  Thread thread[kThreads];
  uint8_t lastStored[kObjects] = {};  ///< into the volatile field, as the checker knows
  uint8_t movesLeft = 0, evictionsLeft = 0, sharesLeft = 0, loansLeft = 0, returnsLeft = 0, monitorLoansLeft = 0;
  uint8_t messageCount = 0;
  Message message[kMessages];  ///< sorted: a multiset

  void send(const Message& message);
  void remove(int index);
};

static_assert(std::has_unique_object_representations_v<State>, "states are compared as bytes");

}  // namespace jvmc::cluster::model
