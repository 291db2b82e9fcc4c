// Work that a KJ loop has done by another thread. The loop never waits for it: whatever that thread waits for, the
// words of others still get through.
#pragma once

#include <kj/async.h>

#include <memory>
#include <utility>

#include "cluster/net/error_bridge.h"
#include "cluster/net/io_loop.h"
#include "ir/support/result.h"

namespace jvmc::cluster {

/// On the loop `here`: `there.post()` carries out `work`, which gives a Result<T> or a Status; the promise belongs to
/// the loop, and `work` dies on `there`.
template <class Executor, class Work>
auto callOn(Executor& there, IoLoop& here, Work work) {
  using Outcome = decltype(work());
  using Value = std::decay_t<decltype(*std::declval<Outcome&>())>;
  auto paf = kj::newPromiseAndFulfiller<Value>();
  // The fulfiller must die on the loop: the other thread only carries it.
  auto fulfiller = std::make_shared<kj::Own<kj::PromiseFulfiller<Value>>>(kj::mv(paf.fulfiller));
  there.post([&here, work = std::move(work), fulfiller]() mutable {
    auto outcome = std::make_shared<Outcome>(work());
    here.post([outcome, fulfiller = std::move(fulfiller)] {
      if (outcome->ok()) {
        (*fulfiller)->fulfill(std::move(**outcome));
      } else {
        (*fulfiller)->reject(toException(outcome->error()));
      }
    });
  });
  return kj::mv(paf.promise);
}

}  // namespace jvmc::cluster
