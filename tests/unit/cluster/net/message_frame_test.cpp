// Frames survive every way in which a stream may be cut, and nothing else passes.
#include "cluster/net/message_frame.h"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <cstring>
#include <deque>

#include "cluster/net/limits.h"
#include "cluster/net/send_queue.h"
#include "ir/support/prng.h"

namespace jvmc::cluster {
namespace {

struct Sent {
  FrameHeader header;
  Bytes payload;
};

Sent randomFrame(Prng& random) {
  Sent sent;
  sent.header.kind = FrameKind(1 + random.below(4));
  sent.header.channel = Channel(random.below(kChannels));
  sent.header.id = sent.header.kind == FrameKind::Notify ? 0 : 1 + random.below(1 << 30);
  sent.header.view = uint32_t(random.below(5));
  sent.header.number = uint32_t(random.below(UINT32_MAX));
  const size_t sizes[] = {0, 1, 64, 5000, 70'000, 150'000, 400'000};
  size_t size = sizes[random.below(7)];
  if (sent.header.kind == FrameKind::Fail) size = std::min(size, kFailTextBytesMax);
  sent.payload.resize(size);
  for (uint8_t& byte : sent.payload) byte = uint8_t(random.below(256));
  sent.header.payloadBytes = uint32_t(size);
  return sent;
}

TEST(MessageFrame, AnyCutOfTheStreamGivesTheSameFrames) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Prng random(seed);
    std::deque<Sent> frames;
    SendQueue queue;
    for (size_t i = 0; i < 20; ++i) {
      frames.push_back(randomFrame(random));
      // Part of it may lie elsewhere, in pieces.
      const Bytes& whole = frames.back().payload;
      const size_t own = random.below(2) == 0 ? whole.size() : random.below(whole.size() + 1);
      const size_t middle = own + random.below(whole.size() - own + 1);
      const std::span<const uint8_t> all(whole);
      queue.append(frames.back().header, {Bytes(whole.begin(), whole.begin() + ptrdiff_t(own)),
                                          {all.subspan(own, middle - own), all.subspan(middle)}});
    }
    SpareBytes spare;
    FrameReader reader(kPayloadBytesMax, &spare);
    size_t read = 0;
    const size_t stepMax = size_t(1) << (1 + random.below(20));
    while (!queue.empty()) {
      // The socket takes and gives as it likes.
      iovec pieces[3];
      const int count = queue.gather(pieces, 3);
      size_t step = 1 + random.below(stepMax), moved = 0;
      for (int i = 0; i < count && moved < step; ++i) {
        auto* from = static_cast<uint8_t*>(pieces[i].iov_base);
        size_t left = std::min(pieces[i].iov_len, step - moved);
        while (left > 0) {
          const auto room = reader.room();
          ASSERT_FALSE(room.empty());
          const size_t part = std::min(left, room.size());
          std::memcpy(room.data(), from, part);
          reader.filled(part);
          from += part;
          left -= part;
          moved += part;
          while (auto frame = reader.next()) {
            ASSERT_LT(read, frames.size());
            EXPECT_EQ(frame->header.kind, frames[read].header.kind);
            EXPECT_EQ(frame->header.id, frames[read].header.id);
            EXPECT_EQ(frame->header.view, frames[read].header.view);
            EXPECT_EQ(frame->header.number, frames[read].header.number);
            EXPECT_EQ(frame->header.channel, frames[read].header.channel);
            EXPECT_TRUE(frame->payload == frames[read].payload) << "seed " << seed << " frame " << read;
            ++read;
            // The next large payload may come to lie in this one's memory.
            if (random.below(2) == 0) spare.give(std::move(frame->payload));
          }
          ASSERT_EQ(reader.problem(), "") << "seed " << seed;
        }
      }
      queue.drop(moved);
    }
    EXPECT_EQ(read, frames.size()) << "seed " << seed;
    EXPECT_EQ(queue.bytes(), 0u);
  }
}

TEST(MessageFrame, NumbersTellTheNextFrameFromOneThatComesAgainAndFromAGap) {
  using Verdict = FrameOrder::Verdict;
  FrameOrder order;
  EXPECT_EQ(order.take(1), Verdict::Gap);
  EXPECT_EQ(order.take(0), Verdict::Next);
  EXPECT_EQ(order.take(0), Verdict::Again);
  EXPECT_EQ(order.take(1), Verdict::Next);
  EXPECT_EQ(order.take(0), Verdict::Again);
  EXPECT_EQ(order.take(3), Verdict::Gap);
  EXPECT_EQ(order.take(2), Verdict::Next);
  EXPECT_EQ(order.take(UINT32_MAX), Verdict::Again) << "numbers go around";
}

TEST(MessageFrame, TheHeaderOfALargeFrameTakesNoMemoryInAdvance) {
  FrameHeader header;
  header.payloadBytes = uint32_t(kPayloadBytesMax);
  FrameReader reader(kPayloadBytesMax);
  encodeFrameHeader(header, reader.room().data());
  reader.filled(kFrameHeaderBytes);
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.problem(), "");
  EXPECT_LE(reader.room().size(), FrameReader::kPieceBytes);
}

TEST(MessageFrame, ABrokenStreamStaysBroken) {
  FrameReader reader(100);
  FrameHeader header;
  header.payloadBytes = 101;
  encodeFrameHeader(header, reader.room().data());
  reader.filled(kFrameHeaderBytes);
  EXPECT_FALSE(reader.next());
  EXPECT_EQ(reader.problem(), "a frame of 101 bytes, 100 are allowed here");
  header.payloadBytes = 0;
  encodeFrameHeader(header, reader.room().data());
  reader.filled(kFrameHeaderBytes);
  EXPECT_FALSE(reader.next());
}

TEST(MessageFrame, FailuresKeepCodeAndWordsAndTheirLengthIsLimited) {
  const Error error{ErrorCode::kNotFound, "no such thing"};
  const auto read = decodeFail(encodeFail(error));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->code, error.code);
  EXPECT_EQ(read->message, error.message);
  EXPECT_EQ(decodeFail(encodeFail({ErrorCode::kIo, std::string(10'000, 'x')}))->message.size(), kFailTextBytesMax);
  EXPECT_FALSE(decodeFail(Bytes{1, 2, 3}));
  EXPECT_FALSE(decodeFail(Bytes{99, 0, 0, 0}));
}

}  // namespace
}  // namespace jvmc::cluster
