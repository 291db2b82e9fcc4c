// Dispatch tables and subtype tests over a small class hierarchy with interfaces, defaults and deep inheritance.
#include "runtime/class_table.h"

#include <gtest/gtest.h>

namespace jvmc::rt {
namespace {

class ClassTableTest : public ::testing::Test {
 protected:
  ir::FunctionId function(const std::string& name) { return m_.addFunction({name, {}, ir::kVoid, {}}); }

  ir::ClassId add(const std::string& name, ir::ClassId super, std::vector<ir::ClassId> interfaces = {},
                  std::vector<std::pair<std::string, ir::FunctionId>> methods = {}, bool isInterface = false) {
    ir::ClassDecl decl;
    decl.name = name;
    decl.super = super;
    decl.interfaces = std::move(interfaces);
    decl.isInterface = isInterface;
    for (auto& [methodName, implementation] : methods) {
      ir::MethodDecl method;
      method.name = methodName;
      method.implementation = implementation;
      decl.methods.push_back(method);
    }
    return m_.addClass(std::move(decl));
  }

  ir::ClassId addInterface(const std::string& name, std::vector<ir::ClassId> supers,
                           std::vector<std::pair<std::string, ir::FunctionId>> methods) {
    return add(name, kObject, std::move(supers), std::move(methods), true);
  }

  void seal() {
    layout_ = std::make_unique<ModuleLayout>(m_, AddressPlan{});
    table_ = std::make_unique<ClassTable>(*layout_);
  }

  const ClassInfo& info(ir::ClassId c) { return (*table_)[layout_->classIndex(c)]; }
  const ClassInfo& arrayOf(ir::TypeId element) { return (*table_)[layout_->arrayIndexOfElement(element)]; }
  uint32_t viaVtable(ir::ClassId c, ir::SymbolRef method) {
    return info(c).vtable[layout_->vtableSlot(method)]->function;
  }
  uint32_t viaItable(ir::ClassId c, ir::SymbolRef method) {
    return info(c).itable[layout_->selector(method) & info(c).itableMask]->function;
  }

  static constexpr ir::ClassId kObject = ir::builtin::kObject;
  ir::Module m_;
  std::unique_ptr<ModuleLayout> layout_;
  std::unique_ptr<ClassTable> table_;
};

TEST_F(ClassTableTest, SubclassOverridesInItsSuperclassSlot) {
  ir::FunctionId baseF = function("baseF"), baseG = function("baseG"), derivedG = function("derivedG"),
                 derivedH = function("derivedH");
  ir::ClassId base = add("Base", kObject, {}, {{"f", baseF}, {"g", baseG}});
  ir::ClassId derived = add("Derived", base, {}, {{"h", derivedH}, {"g", derivedG}});
  seal();
  EXPECT_EQ(viaVtable(base, {{}, base, 1}), baseG.value);
  EXPECT_EQ(viaVtable(derived, {{}, base, 0}), baseF.value);
  EXPECT_EQ(viaVtable(derived, {{}, base, 1}), derivedG.value);
  EXPECT_EQ(viaVtable(derived, {{}, derived, 1}), derivedG.value);
  EXPECT_EQ(viaVtable(derived, {{}, derived, 0}), derivedH.value);
  EXPECT_EQ(layout_->resolve(derived, {{}, base, 1}), derivedG);
}

TEST_F(ClassTableTest, AbstractMethodLeadsToTheAbstractCell) {
  ir::ClassId base = add("Base", kObject, {}, {{"f", ir::FunctionId()}});
  seal();
  EXPECT_EQ(info(base).vtable[0], table_->abstractCell());
  EXPECT_EQ(table_->abstractCell()->function, ir::FunctionId::kNone);
}

TEST_F(ClassTableTest, InterfaceCallsFindTheImplementationInSuperclassesToo) {
  ir::FunctionId run = function("run"), stop = function("stop");
  ir::ClassId runnable = addInterface("Runnable", {}, {{"run", {}}, {"stop", {}}});
  ir::ClassId base = add("Base", kObject, {}, {{"run", run}});
  ir::ClassId derived = add("Derived", base, {runnable}, {{"stop", stop}});
  seal();
  EXPECT_EQ(viaItable(derived, {{}, runnable, 0}), run.value);
  EXPECT_EQ(viaItable(derived, {{}, runnable, 1}), stop.value);
  EXPECT_EQ(info(derived).itableMask, 1u);
}

TEST_F(ClassTableTest, ManyInterfacesShareOneTableWithoutCollision) {
  std::vector<ir::ClassId> interfaces;
  for (int i = 0; i < 100; ++i)
    interfaces.push_back(
        addInterface("I" + std::to_string(i), {}, {{"m" + std::to_string(i), {}}, {"n" + std::to_string(i), {}}}));
  std::vector<ir::ClassId> some = {interfaces[3], interfaces[35], interfaces[99], interfaces[0]};
  std::vector<std::pair<std::string, ir::FunctionId>> methods;
  for (const char* suffix : {"3", "35", "99", "0"})
    for (const char* prefix : {"m", "n"}) {
      std::string name = std::string(prefix) + suffix;
      methods.emplace_back(name, function(name));
    }
  ir::ClassId c = add("C", kObject, some, methods);
  seal();
  for (size_t i = 0; i < some.size(); ++i)
    for (uint32_t member : {0u, 1u})
      EXPECT_EQ(viaItable(c, {{}, some[i], member}), methods[2 * i + member].second.value);
}

TEST_F(ClassTableTest, MostSpecificDefaultWinsAndTwoUnrelatedOnesCancel) {
  ir::FunctionId general = function("general"), special = function("special"), other = function("other");
  ir::ClassId a = addInterface("A", {}, {{"f", general}});
  ir::ClassId b = addInterface("B", {a}, {{"f", special}});
  ir::ClassId unrelated = addInterface("U", {}, {{"f", other}});
  ir::ClassId one = add("One", kObject, {a, b});
  ir::ClassId two = add("Two", kObject, {a, unrelated});
  ir::ClassId own = add("Own", kObject, {}, {{"f", ir::FunctionId()}});
  ir::ClassId ownWins = add("OwnWins", own, {a});
  seal();
  EXPECT_EQ(viaItable(one, {{}, a, 0}), special.value);
  EXPECT_EQ(viaItable(one, {{}, b, 0}), special.value);
  EXPECT_EQ(viaItable(two, {{}, a, 0}), ir::FunctionId::kNone);
  EXPECT_EQ(viaItable(ownWins, {{}, a, 0}), ir::FunctionId::kNone);
}

TEST_F(ClassTableTest, InstanceTestsFollowClassesAndInterfaces) {
  ir::ClassId parent = addInterface("Parent", {}, {});
  ir::ClassId child = addInterface("Child", {parent}, {});
  ir::ClassId base = add("Base", kObject, {child});
  ir::ClassId derived = add("Derived", base);
  ir::ClassId sibling = add("Sibling", kObject);
  seal();
  EXPECT_TRUE(isInstance(info(derived), info(derived)));
  EXPECT_TRUE(isInstance(info(derived), info(base)));
  EXPECT_TRUE(isInstance(info(derived), info(kObject)));
  EXPECT_TRUE(isInstance(info(derived), info(parent)));
  EXPECT_FALSE(isInstance(info(base), info(derived)));
  EXPECT_FALSE(isInstance(info(sibling), info(base)));
  EXPECT_FALSE(isInstance(info(sibling), info(child)));
}

TEST_F(ClassTableTest, InstanceTestsWorkBelowTheDisplay) {
  std::vector<ir::ClassId> chain = {kObject};
  for (int i = 1; i <= 20; ++i) chain.push_back(add("D" + std::to_string(i), chain.back()));
  ir::ClassId branch = add("Branch", chain[18]);
  seal();
  for (size_t i = 0; i < chain.size(); ++i)
    for (size_t j = 0; j < chain.size(); ++j)
      EXPECT_EQ(isInstance(info(chain[i]), info(chain[j])), i >= j) << i << " " << j;
  EXPECT_TRUE(isInstance(info(branch), info(chain[18])));
  EXPECT_FALSE(isInstance(info(branch), info(chain[19])));
}

TEST_F(ClassTableTest, ArraysAreCovariantInReferences) {
  ir::ClassId iface = addInterface("I", {}, {});
  ir::ClassId base = add("Base", kObject, {iface});
  ir::ClassId derived = add("Derived", base);
  ir::TypeId object = m_.types.ref(kObject), d = m_.types.ref(derived), b = m_.types.ref(base), i = m_.types.ref(iface);
  for (ir::TypeId t : {object, d, b, i, ir::kI32, ir::kI64}) m_.types.array(t);
  ir::TypeId ints = m_.types.array(ir::kI32);
  m_.types.array(ints);
  seal();
  EXPECT_TRUE(isInstance(arrayOf(d), arrayOf(b)));
  EXPECT_TRUE(isInstance(arrayOf(d), arrayOf(i)));
  EXPECT_TRUE(isInstance(arrayOf(d), arrayOf(object)));
  EXPECT_TRUE(isInstance(arrayOf(d), info(kObject)));
  EXPECT_FALSE(isInstance(arrayOf(b), arrayOf(d)));
  EXPECT_FALSE(isInstance(arrayOf(b), info(base)));
  EXPECT_TRUE(isInstance(arrayOf(ints), arrayOf(object)));  // an array is an Object
  EXPECT_FALSE(isInstance(arrayOf(ir::kI32), arrayOf(object)));
  EXPECT_FALSE(isInstance(arrayOf(ir::kI32), arrayOf(ir::kI64)));
  EXPECT_EQ(arrayOf(ir::kI32).elementShift, 2);
  EXPECT_EQ(arrayOf(ints).element, &arrayOf(ir::kI32));
}

TEST_F(ClassTableTest, OnlyClassesWithInitialisersStartUninitialised) {
  ir::ClassId plain = add("Plain", kObject);
  ir::ClassId lazy = add("Lazy", kObject);
  ir::ClassId sub = add("Sub", lazy);
  m_.classes[lazy.index()].initializer = function("init");
  seal();
  EXPECT_EQ(info(plain).initEpoch.load(), 0u);
  EXPECT_EQ(info(lazy).initEpoch.load(), kNotInitialised);
  EXPECT_EQ(info(sub).initEpoch.load(), kNotInitialised);
  EXPECT_EQ((*table_)[layout_->staticsIndex(lazy)].initEpoch.load(), 0u);
}

}  // namespace
}  // namespace jvmc::rt
