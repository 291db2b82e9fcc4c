// The outside world in this process: each call once, in order, errors as values, standard input that never holds up
// others.
#include "runtime/outside_local.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <map>

namespace jvmc::rt {
namespace {

class OutsideTest : public ::testing::Test {
 protected:
  OutsideTest() {
    EXPECT_EQ(pipe2(in_, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out_, O_CLOEXEC), 0);
    char name[] = "/tmp/jvmc-outside-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~OutsideTest() override {
    for (int fd : {in_[0], in_[1], out_[0], out_[1]})
      if (fd >= 0) close(fd);
    std::filesystem::remove_all(directory_);
  }
  OutsideExecutor::Options options() {
    OutsideExecutor::Options o;
    o.input = in_[0];
    o.output = out_[1];
    o.error = out_[1];
    o.onExit = [this](int32_t code) { exitCode_ = code; };
    return o;
  }
  static OutsideCall call(std::string native, std::vector<uint64_t> scalars = {}, std::vector<std::string> bytes = {}) {
    OutsideCall c;
    static uint64_t number = 0;
    c.thread = {1, kNullRef};
    c.number = number++;
    c.ticket = c.number + 100;
    c.native = std::move(native);
    c.scalars = std::move(scalars);
    c.bytes = std::move(bytes);
    return c;
  }
  std::string printed() {
    char buffer[4096];
    fcntl(out_[0], F_SETFL, O_NONBLOCK);
    ssize_t n = read(out_[0], buffer, sizeof buffer);
    return n > 0 ? std::string(buffer, size_t(n)) : std::string();
  }
  void type(std::string_view text) { ASSERT_EQ(write(in_[1], text.data(), text.size()), ssize_t(text.size())); }
  void closeFd(int& fd) {
    close(fd);
    fd = -1;
  }

  int in_[2], out_[2];
  std::string directory_;
  std::atomic<int> exitCode_{-1};
};

using Kind = OutsideResult::Kind;

TEST_F(OutsideTest, a_repeated_call_is_answered_but_not_done_again) {
  OutsideExecutor executor(options());
  OutsideCall first = call("io.print", {}, {"once"});
  EXPECT_EQ(executor.execute(first)->kind, Kind::Value);
  EXPECT_EQ(executor.execute(first)->kind, Kind::Value);
  EXPECT_EQ(printed(), "once");
  EXPECT_TRUE(executor.execute(call("io.eprint", {}, {"!"})));
  EXPECT_FALSE(executor.execute(first)) << "nobody waits for an older call";
}

TEST_F(OutsideTest, lines_are_read_to_the_end_of_input) {
  OutsideExecutor executor(options());
  type("one\n\nlast");
  closeFd(in_[1]);
  EXPECT_EQ(executor.execute(call("io.read_line"))->bytes, "one");
  EXPECT_EQ(executor.execute(call("io.read_line"))->bytes, "");
  EXPECT_EQ(executor.execute(call("io.read", {0, 2}))->bytes, "la");
  EXPECT_EQ(executor.execute(call("io.read_line"))->bytes, "st");
  EXPECT_EQ(executor.execute(call("io.read_line"))->kind, Kind::Null);
}

TEST_F(OutsideTest, files_are_written_appended_and_read_back) {
  OutsideExecutor executor(options());
  std::string path = directory_ + "/file";
  auto open = [&](uint64_t mode) { return executor.execute(call("io.open", {mode}, {path}))->value; };
  uint64_t handle = open(1);
  EXPECT_EQ(executor.execute(call("io.write", {handle}, {"abc"}))->kind, Kind::Value);
  EXPECT_EQ(executor.execute(call("io.close", {handle}))->kind, Kind::Value);
  EXPECT_EQ(executor.execute(call("io.close", {handle}))->kind, Kind::IoError);
  handle = open(2);
  executor.execute(call("io.write", {handle}, {std::string("d\0e", 3)}));
  executor.execute(call("io.close", {handle}));
  EXPECT_EQ(executor.execute(call("io.read_file", {}, {path}))->bytes, std::string("abcd\0e", 6));
  handle = open(0);
  EXPECT_EQ(executor.execute(call("io.read", {handle, 4}))->bytes, "abcd");
  EXPECT_EQ(executor.execute(call("io.read", {handle, 100}))->bytes.size(), 2u);
  EXPECT_EQ(executor.execute(call("io.read", {handle, 100}))->kind, Kind::Null);
  executor.execute(call("io.write_file", {}, {path, "new"}));
  EXPECT_EQ(executor.execute(call("io.read_file", {}, {path}))->bytes, "new");
}

TEST_F(OutsideTest, failures_name_what_was_tried) {
  OutsideExecutor executor(options());
  auto missing = executor.execute(call("io.read_file", {}, {directory_ + "/missing"}));
  EXPECT_EQ(missing->kind, Kind::IoError);
  EXPECT_NE(missing->bytes.find("missing: No such file"), std::string::npos) << missing->bytes;
  auto full = executor.execute(call("io.write_file", {}, {"/dev/full", "x"}));
  EXPECT_EQ(full->kind, Kind::IoError);
  EXPECT_NE(full->bytes.find("No space left"), std::string::npos) << full->bytes;
  EXPECT_EQ(executor.execute(call("io.open", {7}, {directory_ + "/f"}))->kind, Kind::IoError);
  EXPECT_EQ(executor.execute(call("io.read_file", {}, {std::string("a\0b", 3)}))->kind, Kind::IoError);
  EXPECT_EQ(executor.execute(call("io.read", {0, uint32_t(-1)}))->kind, Kind::IoError);
  EXPECT_EQ(executor.execute(call("io.frobnicate"))->kind, Kind::IoError);
}

/// Answers of a LocalOutsideWorld.
struct Answers {
  std::mutex mutex;
  std::map<uint64_t, OutsideResult> byTicket;
  LocalOutsideWorld::Answer sink() {
    return [this](const ThreadRef&, uint64_t ticket, OutsideResult result) {
      std::scoped_lock lock(mutex);
      byTicket[ticket] = std::move(result);
    };
  }
  std::optional<OutsideResult> await(uint64_t ticket) {
    for (int i = 0; i < 5000; ++i) {
      {
        std::scoped_lock lock(mutex);
        if (byTicket.contains(ticket)) return byTicket[ticket];
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return std::nullopt;
  }
};

TEST_F(OutsideTest, a_reader_that_waits_for_a_person_holds_up_nobody) {
  Answers answers;
  LocalOutsideWorld world(options(), answers.sink());
  OutsideCall line = call("io.read_line"), print = call("io.print", {}, {"prompt"});
  line.thread.id = 2;
  world.call(line);
  world.call(print);
  ASSERT_TRUE(answers.await(print.ticket));
  EXPECT_EQ(printed(), "prompt");
  type("answer\n");
  EXPECT_EQ(answers.await(line.ticket)->bytes, "answer");
}

TEST_F(OutsideTest, the_end_does_not_wait_for_input) {
  Answers answers;
  {
    LocalOutsideWorld world(options(), answers.sink());
    world.call(call("io.read_line"));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(answers.byTicket.empty());
}

TEST_F(OutsideTest, a_closed_pipe_is_an_error_not_a_signal) {
  closeFd(out_[0]);
  Answers answers;
  LocalOutsideWorld world(options(), answers.sink());
  OutsideCall print = call("io.print", {}, {"lost"});
  world.call(print);
  auto result = answers.await(print.ticket);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::IoError);
  EXPECT_NE(result->bytes.find("standard output: Broken pipe"), std::string::npos) << result->bytes;
}

TEST_F(OutsideTest, a_closed_output_may_end_the_program_instead) {
  closeFd(out_[0]);
  Answers answers;
  std::promise<void> closed;
  OutsideExecutor::Options o = options();
  o.onOutputClosed = [&] { closed.set_value(); };
  {
    LocalOutsideWorld world(o, answers.sink());
    world.call(call("io.print", {}, {"lost"}));
    EXPECT_EQ(closed.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  }
  EXPECT_TRUE(answers.byTicket.empty());
}

TEST_F(OutsideTest, exit_passes_its_code_on_and_is_never_answered) {
  Answers answers;
  LocalOutsideWorld world(options(), answers.sink());
  OutsideCall exit = call("program.exit", {3});
  world.call(exit);
  OutsideCall print = call("io.print", {}, {"x"});
  print.thread.id = 9;
  world.call(print);
  ASSERT_TRUE(answers.await(print.ticket));
  EXPECT_EQ(exitCode_, 3);
  EXPECT_FALSE(answers.byTicket.contains(exit.ticket));
}

}  // namespace
}  // namespace jvmc::rt
