// Rules of the protocol that a test can switch off one at a time, to show that a litmus test notices
// (tests/unit/cluster/objects/mutation_test.cpp). Only slow paths look at them. Never set outside tests.
#pragma once

#include <cstdint>

namespace jvmc::cluster {

enum class Fault : uint8_t {
  None,
  StampAtReply,             ///< a copy is stamped when it arrives, not when it is asked for
  NoAckWait,                ///< a release does not wait until its writes are applied
  RefreshOverwrites,        ///< a refresh replaces a dirty copy instead of merging around its fields
  FirstFlusherDropsTwin,    ///< the twin goes with the first of several writers
  HomeClockNotBumped,       ///< a remote release leaves the home's clock alone
  BytewiseReferences,       ///< references are compared byte by byte
  WideDiff,                 ///< bytes are compared eight at a time
  FetchOverlapsFlush,       ///< a fetch does not wait for a flush of the same object
  IgnoreForeignFlush,       ///< a release does not wait for another thread's flush that carries its bytes
  HoldNothing,              ///< blocks leave, and copies go, although threads rely on checks they made before
  MoveWithoutPrepare,       ///< a block arrives while transactions of its new home are in flight
  ArrivalDoesNotTick,       ///< a block arrives and the clock of its new home stands still
  NeighboursUnchecked,      ///< what comes along with a fetch is installed whatever has happened to it meanwhile
  FreezeWithoutFlush,       ///< a frozen object is published before what was written to its copy is home
  CopiesStayBehind,         ///< a thread that leaves gives no copies up
  AheadWithoutTransaction,  ///< a copy that is asked for before anybody needs it may be flushed meanwhile
  DeferredWritesOvertaken,  ///< others learn of a release before the writes that its node owes are home
  FramesComeTwice,          ///< what the net repeats is handled again (simulator)
  LeavesUncounted,          ///< a node leaves although threads are there or on their way (simulator)
  LoanAwaitsOwner,          ///< a lent monitor that is called for stays as long as somebody is in it
  LoanDoesNotTick,          ///< a monitor is lent, or comes back, and the clock stands still there
  UnusedNeverAges,          ///< a copy that nobody has used since it came serves any thread, however old it is
  // -- leases
  RecallNotAwaited,     ///< a shared object is written while its leases are being called back
  LeaseOutlivesRecall,  ///< a lessee answers a recall before its copy is stale
  LesseeForgotten,      ///< a copy is leased to a node that is not noted
  OvertakenRecallLost,  ///< a recall that comes before the answer that leases is forgotten
  SharedIsWritten,      ///< threads at home write shared objects
  FlushIgnoresLeases,   ///< a flush is applied to a shared object, or one that is lent
  // -- objects on loan
  BorrowersForgotten,     ///< who has checked an object before its recall is no writer of it after that
  ObjectLoanDoesNotTick,  ///< an object is lent, or comes back, and the clock stands still there
  ReturnNotSettled,       ///< an object is at home again before what its borrower owes is
  GrantOwes,              ///< an object is lent before what its home owes is home
  // -- cluster-wide collections
  CopiesOutliveTheDead,  ///< copies that are not marked stay
  ArrivalsTrusted,       ///< homes are not told of what comes from nodes that may not have begun
  SentIsForgotten,       ///< what is on its way from a node is no root of its snapshot
  OverwrittenForgotten,  ///< what a copy held before it is written or replaced need not be kept
  BlocksLeaveInRounds,   ///< homes move while nodes trace
  MembersUnchecked,      ///< a round goes on though the members have changed
};

}  // namespace jvmc::cluster
