#include "cluster/launch/start_plan.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>

#include "runtime/run_options.h"

namespace jvmc::cluster {

namespace {

constexpr uint32_t kMaxWorkers = 1024;
constexpr uint64_t kNodeSeedStep = 0x9E3779B97F4A7C15;

capnp::Data::Reader dataOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

void encode(const StartPlan& plan, schema::StartRequest::Builder out) {
  out.setModule({plan.module.data(), plan.module.size()});
  auto peers = out.initPeers(uint32_t(plan.peers.size()));
  for (uint32_t i = 0; i < plan.peers.size(); ++i) peers.set(i, plan.peers[i]);
  auto arguments = out.initArguments(uint32_t(plan.arguments.size()));
  for (uint32_t i = 0; i < plan.arguments.size(); ++i) arguments.set(i, dataOf(plan.arguments[i]));
  out.setMode(std::string(rt::modeName(plan.mode)));
  out.setWorkers(plan.workers);
  out.setBalance(plan.balance);
  out.setBalanceDryRun(plan.balanceDryRun);
  auto range = out.initPlan();
  range.setBase(plan.plan.base);
  range.setRegionShift(plan.plan.regionShift);
  range.setRegionCount(plan.plan.regionCount);
  out.setHeapBytes(plan.heapBytes);
  out.setCaptureEvery(plan.zeal.captureEvery);
  out.setMigrateEvery(plan.zeal.migrateEvery);
  out.setCollectEvery(plan.zeal.collectEvery);
  out.setOutsideEvery(plan.zeal.outsideEvery);
  out.setBlocksEvery(plan.zeal.blocksEvery);
  out.setRoundsEvery(plan.zeal.roundsEvery);
  out.setCollects(plan.collects);
  out.setStartsHere(plan.startsHere);
  out.setCountBarriers(plan.zeal.countBarriers);
  out.setPassSeed(plan.passSeed);
  out.setPerfMap(plan.tools.perfMap);
  out.setJitDump(plan.tools.jitDump);
  out.setGdb(plan.tools.gdb);
  out.setElastic(plan.elastic);
  out.setProfile(plan.profile);
  auto homes = out.initHomes(uint32_t(plan.homes.size()));
  for (uint32_t i = 0; i < plan.homes.size(); ++i) homes.set(i, {plan.homes[i].data(), plan.homes[i].size()});
}

Result<StartPlan> decode(schema::StartRequest::Reader in) {
  StartPlan plan;
  auto module = in.getModule();
  plan.module.assign(module.begin(), module.end());
  for (auto peer : in.getPeers()) plan.peers.emplace_back(peer.cStr());
  for (auto argument : in.getArguments())
    plan.arguments.emplace_back(reinterpret_cast<const char*>(argument.begin()), argument.size());
  auto mode = rt::parseMode(in.getMode().cStr());
  if (!mode.ok()) return mode.error();
  plan.mode = *mode;
  plan.workers = in.getWorkers();
  plan.balance = in.getBalance().cStr();
  plan.balanceDryRun = in.getBalanceDryRun();
  plan.plan = {in.getPlan().getBase(), in.getPlan().getRegionShift(), in.getPlan().getRegionCount()};
  plan.heapBytes = in.getHeapBytes();
  plan.zeal.captureEvery = in.getCaptureEvery();
  plan.zeal.migrateEvery = in.getMigrateEvery();
  plan.zeal.collectEvery = in.getCollectEvery();
  plan.zeal.outsideEvery = in.getOutsideEvery();
  plan.zeal.blocksEvery = in.getBlocksEvery();
  plan.zeal.roundsEvery = in.getRoundsEvery();
  plan.collects = in.getCollects();
  plan.startsHere = in.getStartsHere();
  plan.zeal.countBarriers = in.getCountBarriers();
  plan.passSeed = in.getPassSeed();
  plan.tools = {.perfMap = in.getPerfMap(), .jitDump = in.getJitDump(), .gdb = in.getGdb()};
  plan.elastic = in.getElastic();
  plan.profile = in.getProfile().cStr();
  for (auto homes : in.getHomes()) plan.homes.emplace_back(homes.begin(), homes.end());
  if (plan.peers.empty() || plan.peers.size() > rt::kNodesMax || plan.workers == 0 || plan.workers > kMaxWorkers)
    return Error{ErrorCode::kInvalidInput,
                 fmt::format("a program on {} nodes of {} workers", plan.peers.size(), plan.workers)};
  if (!(plan.plan == rt::AddressPlan{}))
    return Error{ErrorCode::kUnsupportedVersion,
                 "the launcher asks for an address plan that this version does not have"};
  return plan;
}

std::vector<rt::NodeId> members(const StartPlan& plan) {
  std::vector<rt::NodeId> nodes;
  for (uint32_t i = 0; i < plan.peers.size(); ++i)
    if (!plan.peers[i].empty()) nodes.emplace_back(i);
  return nodes;
}

bool isAlone(const StartPlan& plan) {
  return plan.peers.size() == 1 && !plan.elastic;
}

rt::VmOptions vmOptions(const StartPlan& plan, uint32_t node) {
  rt::VmOptions options;
  options.mode = plan.mode;
  options.zeal = plan.zeal;
  options.workers = plan.workers;
  options.node = rt::NodeId(node);
  options.plan = plan.plan;
  if (plan.heapBytes) options.heap.limitBytes = plan.heapBytes;
  options.heap.collectEvery = plan.zeal.collectEvery;
  options.arguments = plan.arguments;
  options.code.tools = plan.tools;
  // Another subset on each node: frames that move fit them all.
  if (plan.passSeed) options.code.passSeed = plan.passSeed + node * kNodeSeedStep;
  return options;
}

std::vector<uint8_t> moduleHashBytes(const std::vector<uint8_t>& module) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(module.data(), module.size()));
  return {canonical.digest, canonical.digest + sizeof canonical.digest};
}

}  // namespace jvmc::cluster
