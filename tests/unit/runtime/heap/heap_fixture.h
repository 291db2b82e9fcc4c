// A heap with a few classes, a world and regions, for tests; and a context that counts as being in guest code.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "runtime/abi/guest_memory.h"
#include "runtime/class_table.h"
#include "runtime/heap/heap.h"
#include "runtime/helpers/access.h"

namespace jvmc::rt {

/// Leases regions 1, 2, ... of a plan.
class CountingRegions final : public RegionSource {
 public:
  explicit CountingRegions(uint32_t count) : count_(count) {}
  std::optional<uint32_t> lease() override {
    uint32_t next = next_.fetch_add(1);
    return next < count_ ? std::optional(next) : std::nullopt;
  }

 private:
  uint32_t count_;
  std::atomic<uint32_t> next_{1};
};

/// Classes: Node {left, right: Object; value: i64}, and Pair {a, b: f64}; arrays of i8, i64 and Object.
class HeapFixture : public ::testing::Test {
 protected:
  HeapFixture() {
    ir::TypeId object = m_.types.ref(ir::builtin::kObject);
    bytes_ = m_.types.array(ir::kI8);
    longs_ = m_.types.array(ir::kI64);
    objects_ = m_.types.array(object);
    node_ = addClass("Node", {{"left", object, false, false, {}},
                              {"value", ir::kI64, false, false, {}},
                              {"right", object, false, false, {}}});
    pair_ = addClass("Pair", {{"a", ir::kF64, false, false, {}}, {"b", ir::kF64, false, false, {}}});
    m_.classes[node_.index()].statics = {{"root", object, false, false, {}}};
  }
  ~HeapFixture() override {
    if (world_ && entered_) {
      heap_->retire(ctx_);
      world_->leave(ctx_);
      world_->remove(ctx_);
    }
  }

  void open(HeapOptions options = {}) {
    options_ = options;
    layout_ = std::make_unique<ModuleLayout>(m_, plan_);
    table_ = std::make_unique<ClassTable>(*layout_);
    world_ = World::create();
    regions_ = std::make_unique<CountingRegions>(plan_.regionCount);
    heap_ = Heap::create(*layout_, table_->infos(), *world_, *regions_, options, true);
    world_->enter(ctx_);
    entered_ = true;
  }

  ir::ClassId addClass(const char* name, std::vector<ir::FieldDecl> fields) {
    ir::ClassDecl decl;
    decl.name = name;
    decl.super = ir::builtin::kObject;
    decl.fields = std::move(fields);
    return m_.addClass(std::move(decl));
  }

  // Node fields by offset.
  static constexpr uint32_t kLeft = 16, kRight = 32, kValue = 24;

  ObjectRef newNode(ThreadContext& ctx) { return heap_->allocateObject(ctx, layout_->classIndex(node_)); }
  ObjectRef newNode() { return newNode(ctx_); }
  ObjectRef newArray(ir::TypeId type, uint32_t length) {
    return heap_->allocateArray(ctx_, layout_->arrayIndex(type), length);
  }
  /// As compiled code does it: a reference is stored after what its object was filled with, for racing readers too.
  static ObjectRef get(ObjectRef ref, uint32_t offset) {
    return loadGuest<uint64_t>(ref + offset, std::memory_order_acquire);
  }
  void put(ThreadContext& ctx, ObjectRef ref, uint32_t offset, uint64_t value) {
    if (needsBarrier(&ctx, ref) && holdsReference(ref, offset)) heap_->onBarrier(&ctx, ref, offset, value);
    storeGuest<uint64_t>(ref + offset, value, std::memory_order_release);
  }
  void put(ObjectRef ref, uint32_t offset, uint64_t value) { put(ctx_, ref, offset, value); }
  /// The class decides, not the offset alone: an array's first element lies where a node has its value.
  bool holdsReference(ObjectRef ref, uint32_t offset) const {
    const ClassInfo& info = *table_->infos()[classIndexOf(ref)];
    if (info.shape != ObjectShape::Instance) return info.shape == ObjectShape::ReferenceArray;
    return std::find(info.refOffsets, info.refOffsets + info.refCount, offset) != info.refOffsets + info.refCount;
  }
  static uint32_t element(uint32_t i) { return kArrayElementsOffset + 8 * i; }

  ir::Module m_;
  ir::ClassId node_, pair_;
  ir::TypeId bytes_, longs_, objects_;
  AddressPlan plan_;
  HeapOptions options_;
  std::unique_ptr<ModuleLayout> layout_;
  std::unique_ptr<ClassTable> table_;
  std::unique_ptr<World> world_;
  std::unique_ptr<CountingRegions> regions_;
  std::unique_ptr<Heap> heap_;
  ThreadContext ctx_;  // its stackTop is 0: nothing is scanned conservatively unless a test says so
  bool entered_ = false;
};

}  // namespace jvmc::rt
