// What guest threads do: transactions at random, whose every read the history can judge. A thread is data: its program
// counter, its random numbers and its variables lie in a portable frame, and it moves with nothing else. So a script is
// a state machine; one step is a stretch of guest code from one poll to the next.
#pragma once

#include <optional>
#include <span>

#include "runtime/object_space.h"
#include "tests/simulator/history.h"
#include "tests/simulator/world.h"

namespace jvmc::sim {

/// A node as a running thread sees it. Accesses may stop the thread in a slow path.
class Guest {
 public:
  virtual ~Guest() = default;
  virtual rt::GuestThread& thread() = 0;
  virtual uint64_t read(const Field& field) = 0;
  virtual void write(const Field& field, uint64_t value) = 0;
  /// As compiled code with hoisted checks: both fields are checked before the first is used.
  virtual uint64_t readAfterChecking(const Field& field, const Field& other) = 0;
  virtual void writeAfterChecking(const Field& field, uint64_t value, const Field& other) = 0;
  /// What has been written to the object's final fields is there for whoever finds it from now on.
  virtual void freeze(ObjectRef object) = 0;
  /// True: the answer is thread().resumption. False: the step must return Parked; the answer is there at the next one.
  virtual bool submit(rt::SyncRequest request, rt::WaitKind kind) = 0;
  /// A field that holds a reference.
  virtual ObjectRef readReference(const Field& field) = 0;
  virtual void writeReference(const Field& field, ObjectRef value) = 0;
  /// A new cell; null if there are no more.
  virtual ObjectRef make() = 0;
  /// Begins thread `index` of the world.
  virtual void launch(size_t index) = 0;
  virtual void wantMove() = 0;
};

enum class StepEnd : uint8_t { Polls, Parked, Over };

struct ScriptOptions {
  uint32_t transactions = 20;
  double moves = 0.05;  ///< of steps after which a thread wants to be elsewhere
  bool cells = false;   ///< threads make cells and forget them
};

class Script {
 public:
  Script(const World& world, History& history, ScriptOptions options)
      : world_(world), history_(history), options_(options) {}

  /// Prepares thread `index` for its first step.
  void begin(rt::GuestThread& thread, size_t index, uint64_t seed) const;
  StepEnd step(Guest& guest) const;
  /// The slots of a thread's frame that hold references.
  static std::span<uint64_t> references(rt::GuestThread& thread);

 private:
  struct Variables;
  enum Kind : uint64_t {
    Guarded,
    Own,
    Hoisted,
    Add,
    Send,
    Receive,
    Wait,
    Race,
    Publish,
    Look,
    Nested,
    kKinds,
    Graph = kKinds,
    Swap,
    kKindsWithCells
  };

  StepEnd choose(Guest& guest, Variables& my) const;
  StepEnd carryOn(Guest& guest, Variables& my) const;
  std::optional<StepEnd> passMonitor(Guest& guest, Variables& my) const;
  void useGuarded(Guest& guest, Variables& my) const;
  StepEnd guarded(Guest& guest, Variables& my) const;
  StepEnd nested(Guest& guest, Variables& my) const;
  StepEnd own(Guest& guest, Variables& my, bool hoisted) const;
  StepEnd add(Guest& guest, Variables& my) const;
  StepEnd send(Guest& guest, Variables& my) const;
  StepEnd receive(Guest& guest, Variables& my) const;
  StepEnd graph(Guest& guest, Variables& my) const;
  void changeGraph(Guest& guest, Variables& my) const;
  StepEnd swap(Guest& guest, Variables& my) const;
  StepEnd race(Guest& guest, Variables& my) const;
  StepEnd publish(Guest& guest, Variables& my) const;
  StepEnd look(Guest& guest, Variables& my) const;
  StepEnd startOthers(Guest& guest, Variables& my) const;
  StepEnd joinOthers(Guest& guest, Variables& my) const;
  StepEnd finish(Guest& guest, Variables& my) const;
  uint64_t nextValue(Variables& my, const Field& field) const;

  const World& world_;
  History& history_;
  const ScriptOptions options_;
};

}  // namespace jvmc::sim
