// Asking several nodes of which some may not answer.
#pragma once

#include <kj/async-io.h>
#include <kj/timer.h>

namespace jvmc::cluster {

/// The promise, or nothing if it fails or takes too long.
template <class T>
kj::Promise<kj::Maybe<T>> orNothing(kj::Timer& timer, kj::Duration time, kj::Promise<T> promise) {
  return timer.timeoutAfter(time, kj::mv(promise))
      .then([](T value) -> kj::Maybe<T> { return kj::mv(value); },
            [](kj::Exception&&) -> kj::Maybe<T> { return nullptr; });
}

}  // namespace jvmc::cluster
