// What a node that ends has left reaches the tool that was looking, once.
#include "cluster/launch/last_words.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr const char* kTrace = R"({"trace": {"events": 1024}})";

TEST(LastWords, ANodeIsAskedNothingWhileNobodyLooks) {
  LastWords words;
  EXPECT_TRUE(words.take(R"({"threads": true})", 0).empty());
  EXPECT_TRUE(words.questions(0).empty());
}

TEST(LastWords, WhoAsksNextForTheSameKindGetsThem) {
  LastWords words;
  words.take(kTrace, 0);
  const auto questions = words.questions(kSecond);
  ASSERT_EQ(questions.size(), 1u);
  EXPECT_EQ(questions[0], R"({"trace":{"last":true,"stop":true}})");
  words.keep(questions[0], "farewell");
  EXPECT_TRUE(words.take(R"({"profile": {}})", kSecond).empty());
  EXPECT_TRUE(words.any());
  EXPECT_EQ(words.take(kTrace, kSecond), std::vector<std::string>{"farewell"});
  EXPECT_FALSE(words.any());
  EXPECT_TRUE(words.take(kTrace, kSecond).empty());
}

TEST(LastWords, AToolThatHasSeenEnoughLeavesNothingBehind) {
  LastWords words;
  words.take(kTrace, 0);
  const auto questions = words.questions(0);
  words.keep(questions[0], "farewell");
  EXPECT_EQ(words.take(R"({"trace": {"stop": true}})", 0).size(), 1u);
  EXPECT_TRUE(words.questions(0).empty());
  words.keep(questions[0], "too late");
  EXPECT_FALSE(words.any());
}

TEST(LastWords, AToolThatWasKilledIsForgotten) {
  LastWords words;
  words.take(kTrace, 0);
  EXPECT_EQ(words.questions(LastWords::kLeaseNanos - 1).size(), 1u);
  EXPECT_TRUE(words.questions(LastWords::kLeaseNanos).empty());
}

TEST(LastWords, ARequestThatIsNoRequestChangesNothing) {
  LastWords words;
  for (const char* text : {"", "[]", "{", R"("trace")", "7"}) EXPECT_TRUE(words.take(text, 0).empty()) << text;
  EXPECT_TRUE(words.take(R"({"trace": 7})", 0).empty());
  EXPECT_EQ(words.questions(0).size(), 1u);
}

}  // namespace
}  // namespace jvmc::cluster
