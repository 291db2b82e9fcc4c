// Frames as data: one contiguous vector of words, with the start of each frame on the side.
#include "runtime/thread.h"

namespace jvmc::rt {

uint64_t* FrameStack::push(uint32_t function, uint32_t resumePoint, uint32_t slotCount) {
  size_t start = words_.size();
  words_.resize(start + 2 + slotCount);
  *reinterpret_cast<FrameHeader*>(&words_[start]) = {function, resumePoint, slotCount, 0};
  starts_.push_back(uint32_t(start));
  return words_.data() + start + 2;
}

void FrameStack::pop() {
  words_.resize(starts_.back());
  starts_.pop_back();
}

void FrameStack::clear() {
  words_.clear();
  starts_.clear();
}

}  // namespace jvmc::rt
