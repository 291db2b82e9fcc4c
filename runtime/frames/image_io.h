// Bytes of a thread image: a writer, and a reader that never reads past the end.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace jvmc::rt {

class ImageWriter {
 public:
  template <class T>
  void put(T value) {
    static_assert(std::is_integral_v<T>);
    auto bits = std::make_unsigned_t<T>(value);
    for (size_t i = 0; i < sizeof(T); ++i) bytes_.push_back(uint8_t(bits >> (8 * i)));
  }
  void putText(const std::string& text) {
    put(uint32_t(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

/// Reading past the end gives zeros and makes the reader fail for good.
class ImageReader {
 public:
  explicit ImageReader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  template <class T>
  T get() {
    static_assert(std::is_integral_v<T>);
    if (rest_.size() < sizeof(T)) {
      failed_ = true;
      return 0;
    }
    std::make_unsigned_t<T> bits = 0;
    for (size_t i = 0; i < sizeof(T); ++i) bits = std::make_unsigned_t<T>(bits | uint64_t(rest_[i]) << (8 * i));
    rest_ = rest_.subspan(sizeof(T));
    return T(bits);
  }
  std::string getText() {
    uint32_t length = get<uint32_t>();
    if (failed_ || rest_.size() < length) {
      failed_ = true;
      return {};
    }
    std::string text(rest_.begin(), rest_.begin() + length);
    rest_ = rest_.subspan(length);
    return text;
  }
  /// A count of items that take at least `itemBytes` each: more than the rest can hold is a failure, not an allocation.
  uint32_t getCount(size_t itemBytes) {
    uint32_t count = get<uint32_t>();
    if (!failed_ && uint64_t(count) * itemBytes > rest_.size()) failed_ = true;
    return failed_ ? 0 : count;
  }
  bool failed() const { return failed_; }
  bool atEnd() const { return rest_.empty(); }

 private:
  std::span<const uint8_t> rest_;
  bool failed_ = false;
};

}  // namespace jvmc::rt
