// What is explored: a few nodes, objects and threads with short programs, and how often blocks may move or copies be
// evicted. The scenarios themselves are in scenarios.cpp.
#pragma once

#include <string>
#include <vector>

#include "cluster/objects/faults.h"
#include "tests/model/state.h"

namespace jvmc::cluster::model {

enum class Op : uint8_t {
  Read,       ///< the check and the load
  Write,      ///< the check and the store
  CheckRead,  ///< as compiled code hoists it: the accesses that rely on it follow
  CheckWrite,
  Load,
  Store,
  Allocate,       ///< the world may be stopped here, but checks made before are relied on afterwards
  Lock,           ///< acquire
  Unlock,         ///< release
  VolatileStore,  ///< release
  VolatileLoad,   ///< acquire
  ElementStore,   ///< volatile, to an element that others read plainly: release and acquire
  End,            ///< release
};

struct Instruction {
  Op op;
  uint8_t object = 0;
  uint8_t field = 0;
  uint8_t write = 0;  ///< the number of the write, for those that store
  bool polls = true;  ///< a poll stands before it: no check from before is relied on
};

struct Program {
  uint8_t node;
  std::vector<Instruction> code;  ///< the last is End
};

struct Scenario {
  std::string name;
  std::string proves;
  uint8_t nodes = 2;
  std::vector<std::string> objects;
  std::vector<uint8_t> homes;  ///< of the objects, at first
  std::vector<Program> threads;
  uint8_t moves = 0;         ///< blocks that may be withdrawn, over all
  uint8_t movable = 0;       ///< objects whose block may be
  uint8_t evictions = 0;     ///< copies that may be evicted, over all
  uint8_t shares = 0;        ///< objects that may become shared, over all
  uint8_t sharable = 0;      ///< objects that may be
  uint8_t loans = 0;         ///< objects that may be lent, over all
  uint8_t lendable = 0;      ///< objects that may be
  uint8_t returns = 0;       ///< how often borrowers give back unasked, objects and monitors, over all
  uint8_t monitorLoans = 0;  ///< monitors that may be lent, over all
  bool companions = false;   ///< requests travel with the writes that they release
  int neighbourOf0 = -1;     ///< comes along with object 0
};

/// Explored in seconds, by every test run.
std::vector<Scenario> shortScenarios();
/// The same with more threads, moves and evictions: minutes, gigabytes.
std::vector<Scenario> longScenarios();

/// Rules that only the model can remove.
namespace in_model {
inline constexpr Fault AtomicIgnoresLeases{128};  ///< an atomic store to a shared object does not wait
inline constexpr Fault SharedBlocksLeave{129};    ///< a block moves though its object is shared
inline constexpr Fault ReturnsForgotten{134};     ///< a neighbour is installed over what has been given back since
inline constexpr Fault LentIsAnswered{135};       ///< a fetch of what is lent is answered with what is at home
inline constexpr Fault ReturnAwaitsOwed{136};     ///< the content of a loan comes back with what its borrower owes
inline constexpr Fault RequestAwaitsLoan{137};    ///< writes wait for the loan that the request with them is about
inline constexpr Fault TwinOutlivesLoan{138};     ///< who has written before the loan keeps the twin from then
inline constexpr Fault EarlyRecallLost{139};      ///< a recall of a monitor that comes before it is forgotten
inline constexpr Fault OlderRecallCounts{140};    ///< so is one if another follows that is about an older loan
}  // namespace in_model

/// A rule, and the scenario in which its absence shows.
struct Mutation {
  std::string rule;
  Fault removed;
  std::string scenario;
};
std::vector<Mutation> mutations();

}  // namespace jvmc::cluster::model
