// Follows the frames of a Cap'n Proto byte stream and finds those that must not reach the library.
//
//   u32 segments - 1 | u32 words of segment 0 | ... | padding to 8 bytes | the segments
//
// Cap'n Proto 0.9.2 takes the count FF FF FF FF for 0 segments and then writes one pointer (advisory 2026-03-12-0);
// counts and sizes are also bounded here, before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace jvmc::cluster {

/// One direction of one stream. Not thread-safe.
class FrameCheck {
 public:
  explicit FrameCheck(size_t maxMessageBytes) : maxMessageBytes_(maxMessageBytes) {}

  /// Looks at the next bytes of the stream. False: they are refused, problem() says why, and the stream must be closed.
  /// Cost: a few instructions a frame; payload bytes are skipped, not read.
  bool accept(std::span<const uint8_t> bytes);

  const std::string& problem() const { return problem_; }

 private:
  bool acceptWord(uint32_t word);
  bool refuse(std::string why);

  size_t maxMessageBytes_;
  size_t skipBytes_ = 0;           // rest of the current message's segments
  uint32_t wordsLeftInTable_ = 0;  // 32-bit words of the segment table still to come, padding included
  uint32_t sizesLeft_ = 0;         // of those: segment sizes
  uint64_t messageBytes_ = 0;
  uint8_t partial_[4] = {};  // a word cut in two by a read
  uint32_t partialBytes_ = 0;
  std::string problem_;
};

}  // namespace jvmc::cluster
