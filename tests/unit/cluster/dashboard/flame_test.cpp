#include "cluster/dashboard/flame.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

const char* kReport = R"({"node": 0, "profile": {
  "frames": [["leaf", "a.ir", 3], ["main", "a.ir", 9], ["leaf", "a.ir", 4], ["rare", "", 0]],
  "stacks": [[0, 1], [2, 1], [1], [3, 1]],
  "samples": [{"kind": "cpu", "thread": 1, "stack": 0, "count": 1, "value": 60},
              {"kind": "cpu", "thread": 1, "stack": 1, "count": 1, "value": 20},
              {"kind": "cpu", "thread": 1, "stack": 2, "count": 1, "value": 19},
              {"kind": "cpu", "thread": 1, "stack": 3, "count": 1, "value": 1},
              {"kind": "wait", "thread": 1, "stack": 2, "count": 1, "value": 1000}],
  "threads": {"1": "main"}}})";

TEST(FlameTree, AddsUpByFunctionAndLeavesOutWhatIsRare) {
  FlameTree tree;
  ASSERT_TRUE(tree.add(kReport).ok());
  ASSERT_TRUE(tree.add(kReport).ok());
  EXPECT_EQ(tree.nanos(), 200U);
  EXPECT_EQ(tree.json(0.02),
            R"({"calls":[{"calls":[{"calls":[],"name":"leaf","nanos":160}],"name":"main","nanos":200}],)"
            R"("name":"all threads","nanos":200})");
}

TEST(FlameTree, RefusesWhatMakesNoSense) {
  FlameTree tree;
  for (const char* text :
       {"", "{}", "[]", R"({"profile": {"frames": [], "stacks": [], "samples": [{"kind": "cpu"}]}})",
        R"({"profile": {"frames": [], "stacks": [[7]], "samples": [{"kind": "cpu", "value": 1, "stack": 0}]}})",
        R"({"profile": {"frames": [], "stacks": [], "samples": [{"kind": "cpu", "value": 1, "stack": 9}]}})"})
    EXPECT_FALSE(tree.add(text).ok()) << text;
}

TEST(FlameTree, IsBounded) {
  FlameTree tree;
  std::string stack;
  for (int i = 0; i < 5000; ++i) stack += i == 0 ? "0" : ",0";
  ASSERT_TRUE(tree.add(R"({"profile": {"frames": [["f", "", 0]], "stacks": [[)" + stack +
                       R"(]], "samples": [{"kind": "cpu", "value": 1, "stack": 0}]}})")
                  .ok());
  size_t depth = 0;
  const std::string json = tree.json(0);
  for (size_t at = 0; (at = json.find("\"f\"", at)) != std::string::npos; ++at) ++depth;
  EXPECT_EQ(depth, FlameTree::kDepthMax);
}

}  // namespace
}  // namespace jvmc::cluster
