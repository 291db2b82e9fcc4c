#include "cluster/net/buffered_stream.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <random>

#include "cluster/net/limits.h"

namespace jvmc::cluster {
namespace {

/// Counts the writes of the stream below.
class CountingStream final : public kj::AsyncIoStream {
 public:
  explicit CountingStream(kj::Own<kj::AsyncIoStream> inner, int& writes) : inner_(kj::mv(inner)), writes_(writes) {}
  kj::Promise<size_t> tryRead(void* b, size_t min, size_t max) override { return inner_->tryRead(b, min, max); }
  kj::Promise<void> write(const void* b, size_t n) override { return ++writes_, inner_->write(b, n); }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> p) override {
    return ++writes_, inner_->write(p);
  }
  kj::Promise<void> whenWriteDisconnected() override { return inner_->whenWriteDisconnected(); }
  void shutdownWrite() override { inner_->shutdownWrite(); }

 private:
  kj::Own<kj::AsyncIoStream> inner_;
  int& writes_;
};

/// A frame of one segment with `words` words of `fill`.
std::vector<kj::byte> frame(uint32_t words, kj::byte fill) {
  std::vector<kj::byte> bytes(8 + size_t(words) * 8, fill);
  for (int i = 0; i < 4; ++i) bytes[i] = 0, bytes[4 + i] = kj::byte(words >> (8 * i));
  return bytes;
}

struct Pair {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::TwoWayPipe pipe = io.provider->newTwoWayPipe();
  int writes = 0;
  kj::Own<BufferedStream> left =
      kj::heap<BufferedStream>(kj::heap<CountingStream>(kj::mv(pipe.ends[0]), writes), kMaxMessageBytes);
  kj::Own<BufferedStream> right = kj::heap<BufferedStream>(kj::mv(pipe.ends[1]), kMaxMessageBytes);
};

TEST(BufferedStream, JoinsTheWritesOfOneTurn) {
  Pair pair;
  auto message = frame(2, 9);
  for (int i = 0; i < 10; ++i) pair.left->write(message.data(), message.size()).wait(pair.io.waitScope);
  std::vector<kj::byte> got(10 * message.size());
  pair.right->read(got.data(), got.size()).wait(pair.io.waitScope);
  EXPECT_LE(pair.writes, 2);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(std::vector(got.begin() + i * message.size(), got.begin() + (i + 1) * message.size()), message);
}

TEST(BufferedStream, KeepsBytesInOrderWhateverTheSizes) {
  Pair pair;
  std::mt19937 random(3);
  std::vector<std::vector<kj::byte>> messages;
  std::vector<kj::byte> all;
  for (int i = 0; i < 300; ++i) {
    messages.push_back(frame(random() % 10 ? random() % 50 : random() % 40'000, kj::byte(i)));
    all.insert(all.end(), messages.back().begin(), messages.back().end());
  }
  kj::Promise<void> writing = kj::READY_NOW;
  for (auto& message : messages)
    writing = writing.then([&] { return pair.left->write(message.data(), message.size()); });
  auto writer = writing.eagerlyEvaluate(nullptr);
  std::vector<kj::byte> got;
  while (got.size() < all.size()) {
    size_t want = std::min<size_t>(1 + random() % 100'000, all.size() - got.size());
    size_t old = got.size();
    got.resize(old + want);
    size_t count = pair.right->tryRead(got.data() + old, 1, want).wait(pair.io.waitScope);
    ASSERT_GT(count, 0u);
    got.resize(old + count);
  }
  EXPECT_EQ(got, all);
  writer.wait(pair.io.waitScope);
  EXPECT_EQ(pair.left->queuedBytes(), 0u);
}

TEST(BufferedStream, HoldsAWriterBackWhenThePeerDoesNotRead) {
  Pair pair;
  auto message = frame(1000, 1);
  size_t accepted = 0;
  for (;; ++accepted) {
    auto promise = pair.left->write(message.data(), message.size());
    if (!promise.poll(pair.io.waitScope)) break;
    ASSERT_LT(accepted * message.size(), 16u << 20);
  }
  EXPECT_LE(pair.left->queuedBytes(), BufferedStream::kMaxQueuedBytes + 2 * message.size());
}

TEST(BufferedStream, ABadFrameLooksLikeALostConnection) {
  Pair pair;
  std::vector<kj::byte> bad(64, 0xFF);
  pair.left->write(bad.data(), bad.size()).wait(pair.io.waitScope);
  kj::byte got[64];
  auto failure = kj::runCatchingExceptions([&] { pair.right->read(got, 64).wait(pair.io.waitScope); });
  ASSERT_TRUE(failure != nullptr);
  EXPECT_EQ(KJ_ASSERT_NONNULL(failure).getType(), kj::Exception::Type::DISCONNECTED);
}

TEST(BufferedStream, FailsWritesAfterThePeerIsGone) {
  Pair pair;
  pair.right = nullptr;
  auto message = frame(10, 1);
  bool failed = false;
  for (int i = 0; i < 10 && !failed; ++i) {
    auto failure = kj::runCatchingExceptions([&] {
      pair.left->write(message.data(), message.size()).wait(pair.io.waitScope);
      pair.io.provider->getTimer().afterDelay(1 * kj::MILLISECONDS).wait(pair.io.waitScope);
    });
    failed = failure != nullptr;
  }
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace jvmc::cluster
