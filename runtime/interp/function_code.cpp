#include "runtime/interp/function_code.h"

#include <algorithm>

namespace jvmc::rt {

uint32_t SwitchTable::find(int32_t value) const {
  if (!dense.empty()) {
    uint32_t index = uint32_t(value) - uint32_t(low);
    return index < dense.size() ? dense[index] : fallback;
  }
  auto it = std::lower_bound(cases.begin(), cases.end(), value, [](const auto& c, int32_t v) { return c.first < v; });
  return it != cases.end() && it->first == value ? it->second : fallback;
}

const Inst* FunctionCode::handlerOf(uint32_t flatIndex) const {
  if (handlerOfFlat_.empty() || handlerOfFlat_[flatIndex] == kNoRegister) return nullptr;
  return code_.data() + handlerOfFlat_[flatIndex];
}

const std::vector<uint32_t>& FunctionCode::slotRegisters(uint32_t resumePoint) const {
  std::atomic<const std::vector<uint32_t>*>& entry = slotRegisters_[resumePoint];
  if (const auto* ready = entry.load(std::memory_order_acquire)) return *ready;
  auto registers = std::make_unique<std::vector<uint32_t>>();
  for (ir::ValueId v : info_.slots(resumePoint).values) registers->push_back(registerOf(v));
  std::scoped_lock lock(mutex_);
  if (const auto* ready = entry.load(std::memory_order_acquire)) return *ready;
  ownedSlots_.push_back(std::move(registers));
  entry.store(ownedSlots_.back().get(), std::memory_order_release);
  return *ownedSlots_.back();
}

size_t FunctionCode::bytes() const {
  return code_.size() * (sizeof(Inst) + 4) +
         4 * (instOfFlat_.size() + handlerOfFlat_.size() + arguments_.size() + registerOf_.size()) +
         8 * constants_.size();
}

FunctionCodes::FunctionCodes(const ModuleLayout& layout, const FunctionInfos& infos)
    : layout_(layout),
      infos_(infos),
      codes_(std::make_unique<std::atomic<const FunctionCode*>[]>(layout.module().functions.size())),
      stored_(std::make_unique<std::atomic<const FunctionCode*>[]>(layout.module().functions.size())) {}

FunctionCodes::~FunctionCodes() = default;

Result<const FunctionCode*> FunctionCodes::find(ir::FunctionId function) {
  if (const FunctionCode* code = ready(function.value)) return code;
  Result<const FunctionInfo*> info = infos_.find(function);
  if (!info.ok()) return std::move(info).error();
  return install(codes_, function,
                 std::make_unique<FunctionCode>(layout_, **info, (*info)->body(), infos_.mayRecurse(function)));
}

Result<const FunctionCode*> FunctionCodes::findStored(ir::FunctionId function) {
  const FunctionCode* called = ready(function.value);
  if (called == nullptr || !called->body().optimised) return find(function);
  if (const FunctionCode* code = stored_[function.index()].load(std::memory_order_acquire)) return code;
  const FunctionInfo& info = called->info();
  return install(stored_, function,
                 std::make_unique<FunctionCode>(layout_, info, info.body(), infos_.mayRecurse(function)));
}

void FunctionCodes::replaceBody(ir::FunctionId function, const ir::FunctionBody& body) {
  install(codes_, function,
          std::make_unique<FunctionCode>(layout_, infos_[function], body, infos_.mayRecurse(function)));
}

const FunctionCode* FunctionCodes::install(Table& table, ir::FunctionId function, std::unique_ptr<FunctionCode> code) {
  std::scoped_lock lock(mutex_);
  if (const FunctionCode* other = table[function.index()].load(std::memory_order_acquire)) return other;
  owned_.push_back(std::move(code));
  table[function.index()].store(owned_.back().get(), std::memory_order_release);
  return owned_.back().get();
}

}  // namespace jvmc::rt
