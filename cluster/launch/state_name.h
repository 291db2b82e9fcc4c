// How the states of threads are called in what users see.
#pragma once

#include "runtime/thread.h"

namespace jvmc::cluster {

inline const char* stateName(rt::ThreadState state) {
  switch (state) {
    case rt::ThreadState::New:
      return "new";
    case rt::ThreadState::Ready:
      return "ready";
    case rt::ThreadState::Running:
      return "running";
    case rt::ThreadState::Parked:
      return "parked";
    case rt::ThreadState::Shipped:
      return "moving";
    case rt::ThreadState::Ended:
      return "ended";
  }
  return "unknown";
}

}  // namespace jvmc::cluster
