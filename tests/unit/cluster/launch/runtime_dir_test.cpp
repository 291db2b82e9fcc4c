#include "cluster/launch/runtime_dir.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "cluster/launch/endpoint.h"

namespace jvmc::cluster {
namespace {

class RuntimeDirTest : public testing::Test {
 protected:
  RuntimeDirTest() {
    char name[] = "/tmp/jvmc-rtdir-XXXXXX";
    folder_ = mkdtemp(name);
    setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  }
  ~RuntimeDirTest() override {
    unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(folder_);
  }
  std::string folder_;
};

TEST_F(RuntimeDirTest, IsPrivateListedAndRemoved) {
  std::string path;
  {
    auto dir = RuntimeDir::create("run");
    ASSERT_TRUE(dir.ok()) << dir.error().message;
    path = dir->path();
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
    EXPECT_EQ(findRuntimeDirs(), std::vector{path});
    ASSERT_TRUE(publishEndpoint(*dir, {"unix:/x", "/key"}).ok());
    auto endpoints = findEndpoints();
    ASSERT_EQ(endpoints.size(), 1u);
    EXPECT_EQ(endpoints[0].address, "unix:/x");
    EXPECT_EQ(endpoints[0].keyFile, "/key");
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(findRuntimeDirs().empty());
}

TEST_F(RuntimeDirTest, WhatAKilledProcessLeftIsRemovedByTheNext) {
  int toParent[2];
  ASSERT_EQ(pipe(toParent), 0);
  pid_t child = fork();
  if (child == 0) {
    auto dir = RuntimeDir::create("run");
    (void)!write(toParent[1], dir.ok() ? "y" : "n", 1);
    pause();
    _exit(0);
  }
  char made = 0;
  ASSERT_EQ(read(toParent[0], &made, 1), 1);
  ASSERT_EQ(made, 'y');
  EXPECT_EQ(findRuntimeDirs().size(), 1u) << "it lives";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(findRuntimeDirs().empty());
  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/jvmcluster"));
  close(toParent[0]);
  close(toParent[1]);
}

TEST_F(RuntimeDirTest, RefusesABaseThatOthersMayEnter) {
  mkdir((folder_ + "/jvmcluster").c_str(), 0755);
  chmod((folder_ + "/jvmcluster").c_str(), 0755);
  auto dir = RuntimeDir::create("run");
  ASSERT_FALSE(dir.ok());
  EXPECT_EQ(dir.error().code, ErrorCode::kRefused);
}

}  // namespace
}  // namespace jvmc::cluster
