// What a launcher tells each node of a program: schema/launch.capnp's StartRequest as plain data.
#pragma once

#include <string>
#include <vector>

#include "runtime/vm.h"
#include "schema/launch.capnp.h"

namespace jvmc::cluster {

struct StartPlan {
  std::vector<uint8_t> module;     ///< the bytes of a .irm
  std::vector<std::string> peers;  ///< address of each node; empty: there is none with this id (any more)
  std::vector<std::string> arguments;
  rt::RunMode mode = rt::RunMode::Auto;
  uint32_t workers = 1;
  std::string balance = "off";
  bool balanceDryRun = false;  ///< the balancer only decides
  rt::AddressPlan plan;
  uint64_t heapBytes = 0;  ///< 0: the runtime's default
  rt::Zeal zeal;
  bool collects = false;                    ///< NodeServicesOptions
  bool startsHere = false;                  ///< NodeServicesOptions
  bool elastic = false;                     ///< nodes may join later, also if there is only one now
  std::vector<std::vector<uint8_t>> homes;  ///< what nodes have left behind that have gone (HomeMap::beliefs)
  std::string profile;                      ///< not empty: options of a profile from the start on (observer.h)
  uint64_t passSeed = 0;  ///< non-zero: each node compiles each function with a random subset of the passes
  rt::NativeTools tools;
};

void encode(const StartPlan& plan, schema::StartRequest::Builder out);
/// Fails for an unknown mode or a plan that makes no sense.
Result<StartPlan> decode(schema::StartRequest::Reader in);

/// The nodes of the plan, ascending.
std::vector<rt::NodeId> members(const StartPlan& plan);
/// There will never be another node.
bool isAlone(const StartPlan& plan);

/// A node's VM options for the plan.
rt::VmOptions vmOptions(const StartPlan& plan, uint32_t node);

/// XXH3-128 of the module's bytes, for the greeting between nodes.
std::vector<uint8_t> moduleHashBytes(const std::vector<uint8_t>& module);

}  // namespace jvmc::cluster
