// What moving threads and finding them needs of the node: its scheduler, the codec of thread images, the object space.
// The VM's is in cluster/node_services.cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "cluster/net/node_net.h"
#include "runtime/object_space.h"

namespace jvmc::cluster {

class ThreadHost {
 public:
  virtual ~ThreadHost() = default;

  /// The scheduler's: the thread is here, and mail for it goes to deliver(). False from deliver: it has just left.
  virtual bool isHere(rt::ThreadId thread) const = 0;
  virtual bool deliver(const rt::ThreadRef& to, const rt::ThreadMail& mail) = 0;
  /// The scheduler's: takes a thread that runs here from now on. False if it knows this incarnation or a later one.
  virtual bool adopt(std::unique_ptr<rt::GuestThread> thread) = 0;

  // -- on the I/O thread, outside guest access
  virtual Bytes encode(const rt::GuestThread& thread) = 0;
  /// Checks everything: the image may come from a broken peer.
  virtual Result<std::unique_ptr<rt::GuestThread>> decode(std::span<const uint8_t> image) = 0;
  /// Whatever the thread refers to is known to another node from now on.
  virtual void exportReferences(const rt::GuestThread& thread) = 0;

  // -- any thread
  /// What an answer refers to is known to another node from now on. (It may come from fresh memory: whoever sends such
  /// an answer is in guest code or has guest access.)
  virtual void exportAnswer(const rt::Resumption& answer) = 0;
  /// An answer has come in a letter: this node has hold of what it refers to. In accessGuest().
  virtual void answerArrived(const rt::Resumption&) {}
  /// Runs `body` while the world is not stopped: in a stop, threads and letters lie where they are looked for.
  virtual void accessGuest(const std::function<void()>& body) { body(); }
  /// The thread leaves this node. Runs `action` once nothing of it is on its way from here.
  virtual void leave(rt::ThreadId thread, std::function<void()> action) = 0;
  /// Runs `action`, now or on the I/O thread, when all is home that threads here have released to threads here: then
  /// others may learn of it.
  virtual void afterDeferred(std::function<void()> action) = 0;
  /// The epoch of a thread that has just arrived.
  virtual uint64_t arrivalEpoch() = 0;
  /// The thread, whose Thread object is homed here, or was before it died, has ended.
  virtual bool hasEnded(const rt::ThreadRef& thread) = 0;

  /// The program cannot go on: threads are lost. Returns.
  virtual void fatal(Error error) = 0;
};

}  // namespace jvmc::cluster
