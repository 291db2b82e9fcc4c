#include "cluster/net/frame_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cluster/net/limits.h"

namespace jvmc::cluster {

bool FrameCheck::accept(std::span<const uint8_t> bytes) {
  if (!problem_.empty()) return false;
  while (!bytes.empty()) {
    if (skipBytes_ > 0) {
      size_t skipped = std::min(skipBytes_, bytes.size());
      skipBytes_ -= skipped;
      bytes = bytes.subspan(skipped);
      continue;
    }
    size_t taken = std::min<size_t>(4 - partialBytes_, bytes.size());
    std::memcpy(partial_ + partialBytes_, bytes.data(), taken);
    partialBytes_ += uint32_t(taken);
    bytes = bytes.subspan(taken);
    if (partialBytes_ < 4) return true;
    partialBytes_ = 0;
    uint32_t word =
        uint32_t(partial_[0]) | uint32_t(partial_[1]) << 8 | uint32_t(partial_[2]) << 16 | uint32_t(partial_[3]) << 24;
    if (!acceptWord(word)) return false;
  }
  return true;
}

bool FrameCheck::acceptWord(uint32_t word) {
  if (wordsLeftInTable_ == 0) {  // the first word of a message
    if (word >= kMaxSegments) return refuse(fmt::format("a message of {} segments", uint64_t(word) + 1));
    sizesLeft_ = word + 1;
    wordsLeftInTable_ = sizesLeft_ + (sizesLeft_ % 2 == 0 ? 1 : 0);  // count and sizes together fill whole 64-bit words
    messageBytes_ = 0;
    return true;
  }
  --wordsLeftInTable_;
  if (sizesLeft_ > 0) {
    --sizesLeft_;
    messageBytes_ += uint64_t(word) * 8;
    if (messageBytes_ > maxMessageBytes_)
      return refuse(fmt::format("a message of more than {} bytes", maxMessageBytes_));
  }
  if (wordsLeftInTable_ == 0) skipBytes_ = size_t(messageBytes_);
  return true;
}

bool FrameCheck::refuse(std::string why) {
  problem_ = std::move(why);
  return false;
}

}  // namespace jvmc::cluster
