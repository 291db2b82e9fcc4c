#include "cluster/net/key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace jvmc::cluster {
namespace {

class KeyTest : public testing::Test {
 protected:
  KeyTest() {
    char name[] = "/tmp/jvmc-key-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~KeyTest() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return folder_ + "/" + name; }
  std::string folder_;
};

TEST_F(KeyTest, IsMadeOnceAndPrivate) {
  auto first = ClusterKey::readOrCreate(path("new/key"));
  ASSERT_TRUE(first.ok()) << first.error().message;
  auto second = ClusterKey::readOrCreate(path("new/key"));
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(*first == *second);
  struct stat info;
  ASSERT_EQ(stat(path("new/key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat(path("new").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST_F(KeyTest, ConcurrentMakersAgreeOnOneKey) {
  std::vector<Result<ClusterKey>> keys(8, Error{});
  std::vector<std::thread> threads;
  for (auto& key : keys) threads.emplace_back([&] { key = ClusterKey::readOrCreate(path("key")); });
  for (auto& thread : threads) thread.join();
  for (auto& key : keys) {
    ASSERT_TRUE(key.ok()) << key.error().message;
    EXPECT_TRUE(*key == *keys[0]);
  }
}

TEST_F(KeyTest, RefusesAFileThatOthersCanRead) {
  ASSERT_TRUE(ClusterKey::random().write(path("key")).ok());
  chmod(path("key").c_str(), 0644);
  auto key = ClusterKey::read(path("key"));
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.error().code, ErrorCode::kRefused);
}

TEST_F(KeyTest, RefusesShortAndGarbledFiles) {
  for (std::string text : {"", "abc", "zz"}) {
    if (text == "zz") text = std::string(64, 'z');
    std::ofstream(path("bad")) << text;
    chmod(path("bad").c_str(), 0600);
    auto key = ClusterKey::read(path("bad"));
    ASSERT_FALSE(key.ok());
    EXPECT_EQ(key.error().code, ErrorCode::kCorrupt);
  }
  EXPECT_EQ(ClusterKey::read(path("none")).error().code, ErrorCode::kNotFound);
}

TEST(Proofs, DependOnKeyLabelAndEachPart) {
  ClusterKey key = ClusterKey::random(), other = ClusterKey::random();
  uint8_t ab[] = {'a', 'b'}, c[] = {'c'}, a[] = {'a'}, bc[] = {'b', 'c'};
  Proof proof = key.prove("label", {ab, c});
  EXPECT_TRUE(sameProof(key.prove("label", {ab, c}), proof));
  EXPECT_FALSE(sameProof(other.prove("label", {ab, c}), proof));
  EXPECT_FALSE(sameProof(key.prove("labe", {ab, c}), proof));
  EXPECT_FALSE(sameProof(key.prove("label", {a, bc}), proof)) << "bytes moved from one part to the next";
  EXPECT_FALSE(sameProof(proof, std::span(proof).first(31)));
}

}  // namespace
}  // namespace jvmc::cluster
