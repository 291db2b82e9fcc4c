// Layouts are part of the agreement between nodes: offsets and indexes are checked as numbers.
#include "runtime/abi/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace jvmc::rt {
namespace {

using ir::kF64;
using ir::kI16;
using ir::kI32;
using ir::kI64;
using ir::kI8;
using ::testing::ElementsAre;

ir::FieldDecl field(const std::string& name, ir::TypeId type) {
  return {name, type, false, false, {}};
}

ir::ClassId addClass(ir::Module& m, const std::string& name, std::vector<ir::FieldDecl> fields,
                     ir::ClassId super = ir::builtin::kObject) {
  ir::ClassDecl decl;
  decl.name = name;
  decl.super = super;
  decl.fields = std::move(fields);
  return m.addClass(std::move(decl));
}

TEST(ModuleLayout, OwnFieldsGoByDescendingSizeAndEachWordHoldsOneSize) {
  ir::Module m;
  ir::ClassId mixed = addClass(m, "Mixed",
                               {field("b", kI8), field("r", m.types.ref(ir::builtin::kObject)), field("i", kI32),
                                field("s", kI16), field("l", kI64), field("b2", kI8)});
  ModuleLayout layout(m, {});
  const ClassLayout& c = layout[mixed];
  std::vector<uint32_t> offsets;
  for (const FieldLayout& f : c.fields) offsets.push_back(f.offset);
  EXPECT_THAT(offsets, ElementsAre(48, 16, 32, 40, 24, 49));
  EXPECT_EQ(c.instanceBytes, 56u);
  EXPECT_THAT(c.refOffsets, ElementsAre(16));
  EXPECT_THAT(c.wordGranularity, ElementsAre(3, 3, 2, 1, 0));
}

TEST(ModuleLayout, SubclassKeepsSuperclassOffsetsAndReferences) {
  ir::Module m;
  ir::TypeId object = m.types.ref(ir::builtin::kObject);
  ir::ClassId derived(uint32_t(m.classes.size()));  // declared before its superclass
  addClass(m, "Derived", {field("r2", object), field("j", kI32)}, ir::ClassId(derived.value + 1));
  ir::ClassId base = addClass(m, "Base", {field("i", kI32), field("r", object)});
  ModuleLayout layout(m, {});
  EXPECT_EQ(layout[base].instanceBytes, 32u);
  EXPECT_EQ(layout[base].fields[0].offset, 24u);
  EXPECT_THAT(layout[derived].refOffsets, ElementsAre(16, 32));
  EXPECT_EQ(layout[derived].fields[1].offset, 40u);
  EXPECT_EQ(layout[derived].instanceBytes, 48u);
}

TEST(ModuleLayout, ClassWithoutFieldsIsOnlyAHeader) {
  ir::Module m;
  ModuleLayout layout(m, {});
  EXPECT_EQ(layout[ir::builtin::kObject].instanceBytes, kHeaderBytes);
}

TEST(ModuleLayout, BuiltinFieldsLieWhereTheRuntimeExpectsThem) {
  ir::Module m;
  ModuleLayout layout(m, {});
  EXPECT_THAT(layout[ir::builtin::kThrowable].refOffsets, ElementsAre(16, 24, 32));
  EXPECT_EQ(layout[ir::builtin::kThread].fields[ir::builtin::kThreadId].offset, 16u);
  EXPECT_EQ(layout[ir::builtin::kThread].fields[ir::builtin::kThreadName].offset, 24u);
  EXPECT_EQ(layout[ir::builtin::kThread].fields[ir::builtin::kThreadState].offset, 32u);
  EXPECT_EQ(layout[ir::builtin::kThread].instanceBytes, 40u);
}

TEST(ModuleLayout, StaticsObjectsFollowEachOtherInRegionZero) {
  ir::Module m;
  ir::ClassId c = addClass(m, "C", {});
  m.classes[c.index()].statics = {field("flag", kI8), field("list", m.types.array(kF64))};
  AddressPlan plan;
  ModuleLayout layout(m, plan);
  EXPECT_EQ(layout[ir::ClassId(0)].staticsAddress, plan.base + kStaticsOffset);
  EXPECT_EQ(layout[ir::ClassId(1)].staticsAddress, plan.base + kStaticsOffset + 16);
  EXPECT_EQ(layout[c].staticsBytes, 32u);
  EXPECT_THAT(layout[c].staticsRefOffsets, ElementsAre(16));
  EXPECT_EQ(layout[c].statics[0].offset, 24u);
  EXPECT_EQ(layout.staticsEnd(), layout[c].staticsAddress + 32);
}

TEST(ModuleLayout, NoStaticsObjectCrossesABlockUnlessItIsLarger) {
  ir::Module m;
  const auto withStatics = [&](const std::string& name, int count) {
    const ir::ClassId c = addClass(m, name, {});
    for (int i = 0; i < count; ++i) m.classes[c.index()].statics.push_back(field("f" + std::to_string(i), kI64));
    return c;
  };
  const ir::ClassId half = withStatics("Half", 5000), other = withStatics("Other", 5000);
  const ir::ClassId huge = withStatics("Huge", 10000), last = withStatics("Last", 1);
  const AddressPlan plan;
  const ModuleLayout layout(m, plan);
  const uint64_t first = plan.base + kStaticsOffset;
  EXPECT_LT(layout[half].staticsAddress, first + kBlockBytes);
  EXPECT_EQ(layout[other].staticsAddress, first + kBlockBytes);
  EXPECT_EQ(layout[huge].staticsAddress, first + 2 * kBlockBytes);
  EXPECT_EQ(layout[last].staticsAddress, first + 4 * kBlockBytes);
  EXPECT_TRUE(layout.isInStaticsBlock(layout.staticsEnd()));
  EXPECT_FALSE(layout.isInStaticsBlock(first + 5 * kBlockBytes));
  EXPECT_FALSE(layout.isInStaticsBlock(first - 1));
}

TEST(ModuleLayout, ClassIndexesNumberClassesThenArraysThenStatics) {
  ir::Module m;
  ir::TypeId bytes = m.types.array(kI8);
  ModuleLayout layout(m, {});
  uint32_t classes = uint32_t(m.classes.size()), types = uint32_t(m.types.size());
  EXPECT_EQ(layout.classIndex(ir::builtin::kThread), ir::builtin::kThread.value);
  EXPECT_EQ(layout.arrayIndex(bytes), classes + bytes.value);
  EXPECT_EQ(layout.arrayIndexOfElement(kI8), layout.arrayIndex(bytes));
  EXPECT_EQ(layout.staticsIndex(ir::ClassId(2)), classes + types + 2);
  EXPECT_EQ(layout.indexCount(), 2 * classes + types);
  EXPECT_TRUE(layout.isStatics(layout.staticsIndex(ir::ClassId(0))));
  EXPECT_TRUE(layout.isArray(layout.arrayIndex(bytes)));
  EXPECT_FALSE(layout.isArray(layout.staticsIndex(ir::ClassId(0))));
  EXPECT_EQ(layout.staticsClass(layout.staticsIndex(ir::ClassId(2))), ir::ClassId(2));
}

TEST(ModuleLayout, ArraysRoundUpToWholeWords) {
  EXPECT_EQ(arrayBytes(ir::TypeKind::I8, 0), 24u);
  EXPECT_EQ(arrayBytes(ir::TypeKind::I8, 1), 32u);
  EXPECT_EQ(arrayBytes(ir::TypeKind::Ref, 3), 48u);
  EXPECT_EQ(arrayBytes(ir::TypeKind::F64, 0x7fffffff), 24 + 8ull * 0x7fffffff);
}

TEST(ModuleLayout, BytesPerObjectAreAsDocumented) {  // the table in docs/internals/heap.md
  ir::Module m;
  ir::TypeId object = m.types.ref(ir::builtin::kObject);
  auto bytes = [&](std::vector<ir::TypeId> types) {
    std::vector<ir::FieldDecl> fields;
    for (ir::TypeId type : types) fields.push_back(field("f", type));
    ir::ClassId c = addClass(m, "C", std::move(fields));
    return ModuleLayout(m, {})[c].instanceBytes;
  };
  EXPECT_EQ(bytes({}), 16u);
  EXPECT_EQ(bytes({kI32}), 24u);
  EXPECT_EQ(bytes({kI32, kI32}), 24u);
  EXPECT_EQ(bytes({kF64, kF64}), 32u);
  EXPECT_EQ(bytes({object, object, object}), 40u);
  EXPECT_EQ(bytes({object, object, kI64}), 40u);
  EXPECT_EQ(arrayBytes(ir::TypeKind::I8, 100), 128u);
  EXPECT_EQ(arrayBytes(ir::TypeKind::Ref, 10), 104u);
  EXPECT_EQ(arrayBytes(ir::TypeKind::F64, 1000), 8024u);
}

TEST(ModuleLayout, NeedsInitLooksAtSuperclasses) {
  ir::Module m;
  ir::FunctionId init = m.addFunction({"init", {}, ir::kVoid, {}});
  ir::ClassId base = addClass(m, "Base", {});
  ir::ClassId derived = addClass(m, "Derived", {}, base);
  m.classes[base.index()].initializer = init;
  ModuleLayout layout(m, {});
  EXPECT_TRUE(layout.needsInit(base));
  EXPECT_TRUE(layout.needsInit(derived));
  EXPECT_FALSE(layout.needsInit(ir::builtin::kObject));
}

}  // namespace
}  // namespace jvmc::rt
