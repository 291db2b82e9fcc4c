#include "tests/simulator/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace jvmc::sim {

namespace {

/// {0} to {3} are the note's numbers.
constexpr std::array<const char*, size_t(What::Over) + 1> kTexts = {
    "node {0}: message {2:#05x} from node {1}, {3:#x}",
    "node {0}: answer {2} of node {1}, {3} bytes",
    "node {0}: thread {1} runs",
    "node {0}: thread {1} waits in a slow path",
    "node {0}: thread {1} parks, ticket {2}",
    "node {0}: thread {1} asks for operation {2} on {3:#x}",
    "node {0}: operation {2} of thread {1} on {3:#x}",
    "node {0}: answer {2} for thread {1}",
    "node {0}: thread {1} is here, incarnation {2}",
    "node {0}: thread {1} leaves for node {3}, incarnation {2}",
    "node {0}: thread {1} is started",
    "node {0}: thread {1} has ended",
    "thread {0} enters monitor {1:#x}",
    "thread {0} leaves monitor {1:#x}",
    "thread {0} writes {2} to {1:#x}",
    "thread {0} reads {2} from {1:#x}",
    "node {0}: blocks are to go to node {1}",
    "node {0}: {1} groups of blocks have gone, {2} stayed, {3} bytes",
    "node {0}: evicts {1} bytes",
    "view {0}: {1} members, {2} places",
    "{1} nodes are cut off, node {0} among them",
    "the cut is healed",
    "node {0}: frame {2} from node {1} comes once more",
    "node {0} crashes",
    "node {0}: frozen {1}",
    "node {0} is slow: up to {1} ns an event",
    "node {0} has left",
    "node {0} has joined",
    "node {0}: thread {1} shall go to node {2}",
    "node {0}: a round is over, complete {1}, {2} dead",
    "node {0}: is home of block {1:#x}",
    "node {0}: block {1:#x} leaves",
    "the program is over, exit code {0}",
};

}  // namespace

void History::note(What what, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  const Note note{events_.now(), what, a, b, c, d};
  for (uint64_t word : {uint64_t(note.time), uint64_t(what), a, b, c, d})
    fingerprint_ = (fingerprint_ ^ word) * 0x100'0000'01b3 + (fingerprint_ >> 31);
  if (last_.size() < kKept)
    last_.push_back(note);
  else
    last_[notes_ % kKept] = note;
  ++notes_;
  if (what == What::Runs) lastRun_ = note.time;
  if (traces) fmt::print("{}", text(note));
}

void History::fail(std::string violation) {
  if (violation_.empty()) violation_ = std::move(violation);
}

std::string History::text(const Note& note) {
  return fmt::format("{:12.6f} ms  ", double(note.time) / 1e6) +
         fmt::format(fmt::runtime(kTexts[size_t(note.what)]), note.a, note.b, note.c, note.d) + "\n";
}

std::string History::tail(size_t lines) const {
  std::string out;
  const size_t count = std::min(lines, last_.size());
  for (size_t i = 0; i < count; ++i) out += text(last_[(notes_ - count + i) % kKept]);
  return out;
}

// ---------------------------------------------------------------- threads

void History::created(ThreadId thread) {
  if (!places_.emplace(thread, kOnItsWay).second) fail(fmt::format("thread {} is begun twice", thread));
}

void History::adopted(NodeId node, ThreadId thread, uint32_t incarnation) {
  note(What::Adopted, node.value, thread, incarnation);
  const auto place = places_.find(thread);
  if (place == places_.end())
    return fail(fmt::format("thread {} runs at node {}, and was never begun", thread, node.value));
  if (ended_.contains(thread)) return fail(fmt::format("thread {} has ended, and runs at node {}", thread, node.value));
  if (place->second != kOnItsWay)
    return fail(fmt::format("thread {} runs at nodes {} and {}", thread, place->second, node.value));
  place->second = node.value;
}

void History::departed(NodeId node, ThreadId thread, uint32_t incarnation, NodeId target) {
  note(What::Departed, node.value, thread, incarnation, target.value);
  uint32_t& place = places_[thread];
  if (place != node.value) fail(fmt::format("thread {} leaves node {}, where it is not", thread, node.value));
  place = kOnItsWay;
}

void History::ended(NodeId node, ThreadId thread) {
  note(What::Ended, node.value, thread);
  if (places_[thread] != node.value)
    fail(fmt::format("thread {} ends at node {}, where it is not", thread, node.value));
  if (!ended_.insert(thread).second) fail(fmt::format("thread {} ends twice", thread));
}

// ---------------------------------------------------------------- blocks

void History::blockArrives(NodeId node, uint64_t block) {
  note(What::BlockHere, node.value, block);
  uint32_t& home = homes_.try_emplace(block, kOnItsWay).first->second;
  if (home != kOnItsWay) fail(fmt::format("block {:#x} is at nodes {} and {}", block, home, node.value));
  home = node.value;
}

void History::blockLeaves(NodeId node, uint64_t block) {
  note(What::BlockGone, node.value, block);
  uint32_t& home = homes_.at(block);
  if (home != node.value) fail(fmt::format("block {:#x} leaves node {}, where it is not", block, node.value));
  home = kOnItsWay;
}

// ---------------------------------------------------------------- what programs do

void History::entered(ThreadId thread, ObjectRef monitor) {
  note(What::Entered, thread, monitor);
  ThreadId& owner = owners_[monitor];
  if (owner != 0) fail(fmt::format("threads {} and {} are both in monitor {:#x}", owner, thread, monitor));
  owner = thread;
}

void History::left(ThreadId thread, ObjectRef monitor) {
  note(What::Left, thread, monitor);
  if (owners_[monitor] != thread) fail(fmt::format("thread {} leaves monitor {:#x}, where it is not", thread, monitor));
  owners_[monitor] = 0;
}

void History::wrote(ThreadId thread, uint64_t field, uint64_t value) {
  note(What::Wrote, thread, field, value);
  values_[field] = value;
}

void History::readLast(ThreadId thread, uint64_t field, uint64_t value) {
  note(What::Read, thread, field, value);
  const uint64_t expected = values_[field];
  if (value != expected)
    fail(fmt::format("thread {} reads {} from {:#x}; the last write was {}", thread, value, field, expected));
}

void History::received(ThreadId thread, uint64_t channel, uint64_t flag, uint64_t value) {
  note(What::Read, thread, channel, value, flag);
  if (value < flag)
    fail(fmt::format("thread {} has seen flag {} of channel {:#x}, and data {} written before", thread, flag, channel,
                     value));
  if (value > sent_[channel])
    fail(fmt::format("thread {} reads {} from channel {:#x}, which nobody has written", thread, value, channel));
}

void History::readReference(ThreadId thread, uint64_t field, uint64_t value, bool genuine) {
  note(What::Read, thread, field, value);
  if (!genuine)
    fail(fmt::format("thread {} reads {:#x} from {:#x}, a reference that nobody has written", thread, value, field));
}

void History::published(ThreadId thread, uint64_t value) {
  note(What::Wrote, thread, 0, value);
  published_.insert(value);
}

void History::found(ThreadId thread, uint64_t slot, uint64_t value) {
  note(What::Read, thread, slot, value);
  if (value != 0 && !published_.contains(value))
    fail(fmt::format("thread {} finds {} in {:#x}, which nobody has published", thread, value, slot));
}

void History::readFinal(ThreadId thread, uint64_t field, uint64_t value, uint64_t expected) {
  note(What::Read, thread, field, value);
  if (value != expected)
    fail(fmt::format("thread {} reads {} from {:#x}, a final field that holds {}", thread, value, field, expected));
}

uint64_t History::additionBegins(uint64_t field) {
  Counter& counter = counters_[field];
  ++counter.begun;
  return counter.done;
}

void History::added(ThreadId thread, uint64_t field, uint64_t begun, uint64_t result) {
  note(What::Read, thread, field, result);
  Counter& counter = counters_[field];
  ++counter.done;
  if (!counter.results.insert(result).second)
    fail(fmt::format("thread {} adds to {:#x}, and gets {} as another did", thread, field, result));
  if (result < begun || result >= counter.begun)
    fail(fmt::format("thread {} adds to {:#x}, and gets {}: {} were done before, {} begun", thread, field, result,
                     begun, counter.begun));
}

}  // namespace jvmc::sim
