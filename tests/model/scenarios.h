// How scenarios are written down, and the lists of them by topic.
#pragma once

#include "tests/model/scenario.h"

namespace jvmc::cluster::model {

inline constexpr Instruction read(uint8_t object, uint8_t field = 0) {
  return {Op::Read, object, field};
}
inline constexpr Instruction write(uint8_t object, uint8_t number, uint8_t field = 0) {
  return {Op::Write, object, field, number};
}
inline constexpr Instruction checkRead(uint8_t object) {
  return {Op::CheckRead, object};
}
inline constexpr Instruction checkWrite(uint8_t object) {
  return {Op::CheckWrite, object};
}
inline constexpr Instruction load(uint8_t object, uint8_t field = 0) {
  return {Op::Load, object, field};
}
inline constexpr Instruction store(uint8_t object, uint8_t number, uint8_t field = 0) {
  return {Op::Store, object, field, number};
}
inline constexpr Instruction lock(uint8_t object) {
  return {Op::Lock, object};
}
inline constexpr Instruction unlock(uint8_t object) {
  return {Op::Unlock, object};
}
inline constexpr Instruction setFlag(uint8_t object, uint8_t number) {
  return {Op::VolatileStore, object, 0, number};
}
inline constexpr Instruction seeFlag(uint8_t object) {
  return {Op::VolatileLoad, object};
}
inline constexpr Instruction setElement(uint8_t object, uint8_t number, uint8_t field = 0) {
  return {Op::ElementStore, object, field, number};
}
inline constexpr Instruction allocate() {
  return {Op::Allocate};
}
/// No poll between this instruction and the one before.
inline constexpr Instruction unpolled(Instruction i) {
  i.polls = false;
  return i;
}

inline Program on(uint8_t node, std::vector<Instruction> code) {
  code.push_back({Op::End});
  return {node, std::move(code)};
}

inline constexpr uint8_t only(int object) {
  return uint8_t(1 << object);
}
inline constexpr uint8_t kAll = 7;

inline Scenario loan(Scenario scenario, uint8_t loans, uint8_t lendable, uint8_t returns = 0) {
  scenario.loans = loans;
  scenario.lendable = lendable;
  scenario.returns = returns;
  return scenario;
}

std::vector<Scenario> leaseScenarios();
std::vector<Scenario> longLeaseScenarios();
std::vector<Mutation> leaseMutations();
std::vector<Scenario> loanScenarios();
std::vector<Scenario> longLoanScenarios();
std::vector<Mutation> loanMutations();
std::vector<Scenario> owedScenarios();
std::vector<Scenario> longOwedScenarios();
std::vector<Mutation> owedMutations();
std::vector<Scenario> monitorScenarios();
std::vector<Scenario> longMonitorScenarios();
std::vector<Mutation> monitorMutations();

}  // namespace jvmc::cluster::model
