// Little-endian bytes: what object space, thread migration and balancer write their messages with. A reader never runs
// over the end: after a short or bad read it is failed, returns zeros, and stays failed, so a decoder reads everything
// and looks at ok() once. Documented layouts: docs/reference/wire.md.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace jvmc::cluster {

static_assert(std::endian::native == std::endian::little, "messages are written as memory lies");

class ByteWriter {
 public:
  template <std::unsigned_integral T>
  void put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
  }
  void put(int64_t value) { put(uint64_t(value)); }
  void put(int32_t value) { put(uint32_t(value)); }
  void put(bool value) { put(uint8_t(value)); }
  /// u32 length, then the bytes.
  void putBytes(std::span<const uint8_t> bytes) {
    put(uint32_t(bytes.size()));
    append(bytes);
  }
  void putString(const std::string& text) { putBytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }
  void append(std::span<const uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  void reserve(size_t bytes) { bytes_.reserve(bytes); }
  size_t size() const { return bytes_.size(); }
  /// Overwrites a value written before.
  void patch(size_t at, uint32_t value) { std::memcpy(bytes_.data() + at, &value, sizeof value); }
  /// Takes back what was written after the first `size` bytes.
  void truncate(size_t size) { bytes_.resize(size); }
  std::span<const uint8_t> written(size_t from) const { return std::span(bytes_).subspan(from); }
  uint8_t* grow(size_t count) {
    bytes_.resize(bytes_.size() + count);
    return bytes_.data() + bytes_.size() - count;
  }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  T get() {
    T value = 0;
    if (rest_.size() < sizeof value) return fail(), T(0);
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  int64_t getI64() { return int64_t(get<uint64_t>()); }
  int32_t getI32() { return int32_t(get<uint32_t>()); }
  bool getBool() {
    const uint8_t value = get<uint8_t>();
    if (value > 1) fail();
    return value == 1;
  }
  /// An enumerator from 0 to `last`.
  template <class E>
  E getEnum(E last) {
    const uint8_t value = get<uint8_t>();
    if (value > uint8_t(last)) return fail(), E{};
    return E(value);
  }
  /// The next `count` bytes; valid as long as the message is.
  std::span<const uint8_t> take(size_t count) {
    if (rest_.size() < count) return fail(), std::span<const uint8_t>{};
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }
  std::span<const uint8_t> getBytes() { return take(get<uint32_t>()); }
  std::string getString() {
    const auto bytes = getBytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// A number of things that follow, each at least `bytesEach` long: never more than could be there.
  uint32_t getCount(size_t bytesEach) {
    const uint32_t count = get<uint32_t>();
    if (count > rest_.size() / bytesEach) return fail(), 0;
    return count;
  }

  void fail() {
    ok_ = false;
    rest_ = {};
  }
  bool ok() const { return ok_; }
  /// Nothing failed and nothing is left.
  bool finished() const { return ok_ && rest_.empty(); }
  size_t left() const { return rest_.size(); }

 private:
  std::span<const uint8_t> rest_;
  bool ok_ = true;
};

}  // namespace jvmc::cluster
