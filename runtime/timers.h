// Time as a parameter: alarms on a monotonic clock. The scheduler's TimerQueue is the real one; tests turn the hands
// themselves.
#pragma once

#include <cstdint>

namespace jvmc::rt {

class Timers {
 public:
  using Id = uint64_t;  ///< 0: no timer

  // arm and cancel call nobody and may be used under any lock.

  /// Whoever waits for alarms. Called on the timer thread without locks; must not block.
  class Sink {
   public:
    virtual void onTimer(uint64_t a, uint64_t b, uint64_t c) = 0;

   protected:
    ~Sink() = default;
  };

  virtual ~Timers() = default;

  /// Nanoseconds on a clock that never goes back. Its origin is this process's own.
  virtual int64_t now() const = 0;
  /// Calls sink.onTimer(a, b, c) once, `nanos` from now or a little later. The sink must outlive the timer. O(log n).
  virtual Id arm(int64_t nanos, Sink& sink, uint64_t a, uint64_t b, uint64_t c) = 0;
  /// Takes a timer back. It may go off at this very moment all the same: sinks recognise an alarm that has lost its
  /// meaning. An id that went off already, or 0, is fine.
  virtual void cancel(Id id) = 0;
  /// Takes back all timers of `sink` and waits until none of them is going off: for the sink's destructor. Not from a
  /// sink.
  virtual void forget(Sink& sink) = 0;
};

}  // namespace jvmc::rt
