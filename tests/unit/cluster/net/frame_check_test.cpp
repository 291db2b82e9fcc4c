// FrameCheck against streams cut at every place, and against the frames it exists to stop.
#include "cluster/net/frame_check.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "schema/launch.capnp.h"

namespace jvmc::cluster {
namespace {

std::vector<uint8_t> frame(std::vector<uint32_t> segmentWords) {
  std::vector<uint32_t> table{uint32_t(segmentWords.size()) - 1};
  table.insert(table.end(), segmentWords.begin(), segmentWords.end());
  if (table.size() % 2) table.push_back(0);
  std::vector<uint8_t> bytes;
  for (uint32_t word : table)
    for (int i = 0; i < 4; ++i) bytes.push_back(uint8_t(word >> (8 * i)));
  for (uint32_t words : segmentWords)
    bytes.resize(bytes.size() + size_t(words) * 8, 0xFF);  // payload like a bad header
  return bytes;
}

TEST(FrameCheck, AcceptsRealMessagesCutAtEveryByte) {
  std::vector<uint8_t> stream;
  for (size_t size : {0, 1, 7, 100, 5000}) {
    capnp::MallocMessageBuilder message(16);
    message.initRoot<schema::StartRequest>().initModule(uint32_t(size));
    auto words = capnp::messageToFlatArray(message);
    stream.insert(stream.end(), words.asBytes().begin(), words.asBytes().end());
  }
  for (size_t cut = 0; cut <= stream.size(); cut += 3) {
    FrameCheck check(1 << 20);
    EXPECT_TRUE(check.accept({stream.data(), cut}));
    EXPECT_TRUE(check.accept({stream.data() + cut, stream.size() - cut})) << check.problem();
  }
  FrameCheck byteByByte(1 << 20);
  for (uint8_t byte : stream) ASSERT_TRUE(byteByByte.accept({&byte, 1}));
}

TEST(FrameCheck, RefusesTheCountThatMeansZeroSegments) {
  std::vector<uint8_t> bytes(16, 0);
  std::fill(bytes.begin(), bytes.begin() + 4, 0xFF);
  FrameCheck check(1 << 20);
  EXPECT_FALSE(check.accept(bytes));
  EXPECT_NE(check.problem().find("4294967296 segments"), std::string::npos);
  EXPECT_FALSE(check.accept(frame({1}))) << "a refused stream stays refused";
}

TEST(FrameCheck, RefusesTheBadCountAfterGoodFrames) {
  FrameCheck check(1 << 20);
  EXPECT_TRUE(check.accept(frame({3})));
  EXPECT_TRUE(check.accept(frame({1, 2})));
  std::vector<uint8_t> bad(4, 0xFF);
  EXPECT_FALSE(check.accept(bad));
}

TEST(FrameCheck, RefusesMessagesAboveTheLimitBeforeTheirPayloadArrives) {
  FrameCheck check(1000);
  std::vector<uint8_t> header = frame({1000 / 8});
  EXPECT_TRUE(check.accept(header));
  std::vector<uint8_t> tooLong = frame({60, 66});
  tooLong.resize(16);  // the table only
  EXPECT_FALSE(check.accept(tooLong));
}

TEST(FrameCheck, SegmentSizesThatOverflow32BitsAreRefused) {
  FrameCheck check(size_t(64) << 20);
  std::vector<uint8_t> header = frame({0});
  for (int i = 4; i < 8; ++i) header[i] = 0xFF;
  EXPECT_FALSE(check.accept(header));
}

TEST(FrameCheck, RandomBytesNeverCrashIt) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    FrameCheck check(1 << 16);
    std::vector<uint8_t> bytes(random() % 64);
    for (auto& byte : bytes) byte = random() % 4 ? uint8_t(random() % 3) : uint8_t(random());
    for (size_t at = 0; at < bytes.size();) {
      size_t count = std::min<size_t>(1 + random() % 9, bytes.size() - at);
      if (!check.accept({bytes.data() + at, count})) break;
      at += count;
    }
  }
}

}  // namespace
}  // namespace jvmc::cluster
