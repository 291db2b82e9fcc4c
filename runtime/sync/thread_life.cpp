// Thread objects (start, end, join) and class initialisation (JLS 12.4.2, steps that concern the lock of the class).
#include "ir/support/check.h"
#include "runtime/sync/session.h"

namespace jvmc::rt {
namespace {

constexpr int32_t kThreadNew = 0, kThreadEnded = 2;

}  // namespace

SyncHome::Answer SyncHome::Session::threadEnd(const SyncRequest& request, std::atomic<int32_t>& state) {
  state.store(kThreadEnded);
  auto joins = shard_.joins.find(request.object);
  if (joins == shard_.joins.end()) return valueAnswer(0);
  while (Waiter* waiter = joins->second.first()) answer(*waiter, valueAnswer(1, true));
  shard_.joins.erase(joins);
  return valueAnswer(0);
}

SyncHome::Answer SyncHome::Session::threadJoin(const SyncRequest& request, const std::atomic<int32_t>& state) {
  int32_t now = state.load();
  // As in Java, a thread that was never started is not waited for.
  if (now == kThreadEnded || now == kThreadNew) return valueAnswer(now == kThreadEnded, true);
  Waiter& waiter = enqueue(shard_.joins[request.object], request);
  startTimer(waiter, request.nanos);
  return std::nullopt;
}

SyncHome::Answer SyncHome::Session::classInitBegin(const SyncRequest& request) {
  ClassInit& init = shard_.classInits[request.object];
  switch (init.state) {
    case ClassInitState::None:
      init.state = ClassInitState::Running;
      init.runner = request.thread.id;
      return valueAnswer(kClassInitRunIt, true);
    case ClassInitState::Running:
      if (init.runner == request.thread.id) return valueAnswer(kClassInitRecursive, true);
      enqueue(init.waiting, request);
      return std::nullopt;
    case ClassInitState::Done:
      return valueAnswer(kClassInitDone, true);
    case ClassInitState::Failed:
      return throwAnswer(BuiltinThrow::NoClassDef, int32_t(request.a));
  }
  JVMC_UNREACHABLE(int(init.state));
}

SyncHome::Answer SyncHome::Session::classInitEnd(const SyncRequest& request) {
  ClassInit& init = shard_.classInits[request.object];
  JVMC_CHECK(init.state == ClassInitState::Running && init.runner == request.thread.id, int(init.state), init.runner,
             request.thread.id);
  bool ok = request.b != 0;
  init.state = ok ? ClassInitState::Done : ClassInitState::Failed;
  init.runner = 0;
  Resumption end = ok ? valueAnswer(kClassInitDone) : throwAnswer(BuiltinThrow::NoClassDef, int32_t(request.a));
  end.acquire = true;
  while (Waiter* waiter = init.waiting.first()) answer(*waiter, end);
  return valueAnswer(0);
}

}  // namespace jvmc::rt
