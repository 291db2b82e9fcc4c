#include "cluster/launch/views_codec.h"

namespace jvmc::cluster {

void encode(const ThreadView& view, schema::ThreadInfo::Builder out) {
  out.setId(view.id);
  out.setName(view.name);
  out.setNode(view.node);
  out.setState(view.state);
  out.setWait(view.wait);
  out.setMoves(view.moves);
  out.setCpuNanos(view.cpuNanos);
  out.setPinned(view.pinned);
  out.setCpuShare(view.cpuShare);
  auto uses = out.initUses(uint32_t(view.uses.size()));
  for (uint32_t i = 0; i < uses.size(); ++i) {
    uses[i].setHome(view.uses[i].home);
    uses[i].setRequests(view.uses[i].requests);
    uses[i].setBytes(view.uses[i].bytes);
    uses[i].setRequestsPerSecond(view.uses[i].requestsPerSecond);
    uses[i].setBytesPerSecond(view.uses[i].bytesPerSecond);
  }
}

void encode(const NodeView& view, schema::NodeInfo::Builder out) {
  out.setNode(view.node);
  out.setPid(view.pid);
  out.setAddress(view.address);
  out.setThreads(view.threads);
  out.setCpuNanos(view.cpuNanos);
  out.setHeapBytes(view.heapBytes);
  out.setRssBytes(view.rssBytes);
  out.setState(view.state);
  out.setWorkers(view.workers);
  out.setQueued(view.queued);
  auto workerCpu = out.initWorkerCpu(uint32_t(view.workerCpu.size()));
  for (uint32_t i = 0; i < workerCpu.size(); ++i) workerCpu.set(i, view.workerCpu[i]);
  out.setHeapLimitBytes(view.heapLimitBytes);
  out.setCopyBytes(view.copyBytes);
  out.setRemoteRequests(view.remoteRequests);
  out.setRemoteBytes(view.remoteBytes);
}

void encode(const ProgramView& view, schema::ProgramInfo::Builder out) {
  out.setId(view.id);
  out.setName(view.name);
  out.setState(view.state);
  out.setNodes(view.nodes);
  out.setThreads(view.threads);
  out.setStartedUnixMillis(view.startedUnixMillis);
  out.setLauncherPid(view.launcherPid);
}

void encode(const AgentView& view, schema::AgentInfo::Builder out) {
  out.setAddress(view.address);
  out.setPid(view.pid);
  out.setVms(view.vms);
  out.setVersion(view.version);
  out.setUnixNanos(view.unixNanos);
  out.setFilesMax(view.filesMax);
}

void encode(const BlocksMovedView& view, schema::BlocksMoved::Builder out) {
  out.setBytes(view.bytes);
  out.setGroups(view.groups);
  out.setRevoked(view.revoked);
  out.setRefusal(view.refusal);
}

BlocksMovedView decode(schema::BlocksMoved::Reader in) {
  return {in.getBytes(), in.getGroups(), in.getRevoked(), in.getRefusal().cStr()};
}

void encode(const LeftView& view, schema::LeftInfo::Builder out) {
  out.setThreads(view.threads);
  out.setIncomingBytes(view.incomingBytes);
  out.setOutsideCalls(view.outsideCalls);
}

void encode(const DrainView& view, schema::DrainInfo::Builder out) {
  out.setState(view.state);
  encode(view.left, out.initLeft());
  out.setMovedBytes(view.movedBytes);
  out.setNanos(view.nanos);
  out.setReason(view.reason);
  out.setEstimatedNanos(view.estimatedNanos);
}

void encode(const DecisionView& view, schema::Decision::Builder out) {
  out.setNumber(view.number);
  out.setNode(view.node);
  out.setAgeNanos(view.ageNanos);
  out.setThread(view.thread);
  out.setBytes(view.bytes);
  out.setFrom(view.from);
  out.setTo(view.to);
  out.setPredicted(view.predicted);
  out.setMeasured(view.measured);
  out.setIsMeasured(view.isMeasured);
  out.setOutcome(view.outcome);
  out.setReason(view.reason);
  out.setTimes(view.times);
}

DecisionView decode(schema::Decision::Reader in) {
  return {in.getNumber(),     in.getNode(),           in.getAgeNanos(),
          in.getThread(),     in.getBytes(),          in.getFrom(),
          in.getTo(),         in.getPredicted(),      in.getMeasured(),
          in.getIsMeasured(), in.getOutcome().cStr(), in.getReason().cStr(),
          in.getTimes()};
}

LeftView decode(schema::LeftInfo::Reader in) {
  return {in.getThreads(), in.getIncomingBytes(), in.getOutsideCalls()};
}

DrainView decode(schema::DrainInfo::Reader in) {
  return {in.getState().cStr(), decode(in.getLeft()),  in.getMovedBytes(),
          in.getNanos(),        in.getReason().cStr(), in.getEstimatedNanos()};
}

ThreadView decode(schema::ThreadInfo::Reader in) {
  ThreadView view{in.getId(),    in.getName().cStr(), in.getNode(),   in.getState().cStr(), in.getWait().cStr(),
                  in.getMoves(), in.getCpuNanos(),    in.getPinned(), in.getCpuShare()};
  for (auto use : in.getUses())
    view.uses.push_back(
        {use.getHome(), use.getRequests(), use.getBytes(), use.getRequestsPerSecond(), use.getBytesPerSecond()});
  return view;
}

NodeView decode(schema::NodeInfo::Reader in) {
  NodeView view{in.getNode(),      in.getPid(),      in.getAddress().cStr(), in.getThreads(), in.getCpuNanos(),
                in.getHeapBytes(), in.getRssBytes(), in.getState().cStr(),   in.getWorkers(), in.getQueued()};
  for (double cpu : in.getWorkerCpu()) view.workerCpu.push_back(cpu);
  view.heapLimitBytes = in.getHeapLimitBytes();
  view.copyBytes = in.getCopyBytes();
  view.remoteRequests = in.getRemoteRequests();
  view.remoteBytes = in.getRemoteBytes();
  return view;
}

ProgramView decode(schema::ProgramInfo::Reader in) {
  return {in.getId().cStr(), in.getName().cStr(),       in.getState().cStr(), in.getNodes(),
          in.getThreads(),   in.getStartedUnixMillis(), in.getLauncherPid()};
}

AgentView decode(schema::AgentInfo::Reader in) {
  return {in.getAddress().cStr(), in.getPid(),       in.getVms(),
          in.getVersion().cStr(), in.getUnixNanos(), in.getFilesMax()};
}

}  // namespace jvmc::cluster
