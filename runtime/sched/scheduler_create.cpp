// The scheduler as VMs use it: threads run guest code through the driver.
#include "runtime/frames/function_info.h"
#include "runtime/sched/node_scheduler.h"
#include "runtime/vm.h"

namespace jvmc::rt {

std::unique_ptr<Scheduler> Scheduler::create(Vm& vm, SchedulerOptions options) {
  GuestCode code;
  code.run = runThread;
  code.visitReferences = [&vm](const GuestThread& thread, const std::function<void(ObjectRef)>& visit) {
    visitThreadReferences(vm.functionInfos(), thread, visit);
  };
  return createScheduler(vm, options, std::move(code));
}

}  // namespace jvmc::rt
