// Greets over a fresh connection: schema/hello.capnp tells the protocol. Nothing of a stranger reaches the RPC layer.
#pragma once

#include <kj/async-io.h>

#include <functional>
#include <string>
#include <vector>

#include "cluster/net/key.h"
#include "runtime/abi/address_plan.h"

namespace jvmc::cluster {

enum class Role : uint8_t { Launcher, Node, Agent, Command };
const char* roleName(Role role);

/// What a connection between two nodes is for.
enum class LinkRole : uint8_t { Control, Small, Bulk };

/// Who the caller says it is. Trusted once the proof has been checked: it knows the key.
struct HelloInfo {
  Role role = Role::Command;
  std::string program;
  uint32_t node = 0;
  std::vector<uint8_t> moduleHash;
  rt::AddressPlan plan;
  uint64_t view = 0;
  LinkRole link = LinkRole::Control;
};

/// Decides whether a caller that knows the key may come in: the reason why not, or empty. May wait.
using AdmitCaller = std::function<kj::Promise<std::string>(const HelloInfo&)>;

/// The caller's side. Fails with the acceptor's words if it refuses, or if the acceptor does not know the key.
kj::Promise<void> greet(kj::AsyncIoStream& stream, const ClusterKey& key, HelloInfo self);

/// The acceptor's side: who called. Fails (after telling the caller) with the reason of a refusal.
/// `key` and `admit` must outlive the promise.
kj::Promise<HelloInfo> receiveGreeting(kj::AsyncIoStream& stream, const ClusterKey& key, const AdmitCaller& admit);

}  // namespace jvmc::cluster
