#include "cluster/net/message_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cluster/net/limits.h"
#include "cluster/wire/bytes.h"

namespace jvmc::cluster {

namespace {

constexpr uint8_t kMark[2] = {'J', 'M'};

}  // namespace

void encodeFrameHeader(const FrameHeader& header, uint8_t* out) {
  std::memcpy(out, &header.payloadBytes, 4);
  out[4] = uint8_t(header.kind);
  out[5] = uint8_t(header.channel);
  std::memcpy(out + 6, kMark, 2);
  std::memcpy(out + 8, &header.id, 8);
  std::memcpy(out + 16, &header.view, 4);
  std::memcpy(out + 20, &header.number, 4);
}

std::string decodeFrameHeader(std::span<const uint8_t, kFrameHeaderBytes> bytes, size_t payloadBytesMax,
                              FrameHeader& header) {
  const uint8_t* in = bytes.data();
  if (std::memcmp(in + 6, kMark, 2) != 0) return "a frame without its mark";
  std::memcpy(&header.payloadBytes, in, 4);
  std::memcpy(&header.id, in + 8, 8);
  std::memcpy(&header.view, in + 16, 4);
  std::memcpy(&header.number, in + 20, 4);
  header.kind = FrameKind(in[4]);
  header.channel = Channel(in[5]);
  if (header.kind < FrameKind::Request || header.kind > FrameKind::Notify)
    return fmt::format("a frame of unknown kind {}", in[4]);
  if (in[5] >= kChannels) return fmt::format("a frame of unknown channel {}", in[5]);
  if ((header.id == 0) != (header.kind == FrameKind::Notify)) return "a frame whose id does not fit its kind";
  const size_t most = header.kind == FrameKind::Fail ? 4 + kFailTextBytesMax : payloadBytesMax;
  if (header.payloadBytes > most)
    return fmt::format("a frame of {} bytes, {} are allowed here", header.payloadBytes, most);
  return "";
}

Bytes encodeFail(const Error& error) {
  ByteWriter out;
  out.put(uint32_t(error.code));
  const size_t length = std::min(error.message.size(), kFailTextBytesMax);
  out.append({reinterpret_cast<const uint8_t*>(error.message.data()), length});
  return out.take();
}

std::optional<Error> decodeFail(std::span<const uint8_t> payload) {
  ByteReader in(payload);
  const uint32_t code = in.get<uint32_t>();
  if (!in.ok() || code > uint32_t(ErrorCode::kInternal)) return std::nullopt;
  const auto words = in.take(in.left());
  return Error{ErrorCode(code), std::string(words.begin(), words.end())};
}

// ---------------------------------------------------------------- reading

FrameReader::FrameReader(size_t payloadBytesMax, SpareBytes* spare)
    : payloadBytesMax_(payloadBytesMax), spare_(spare), buffer_(kReadAheadBytes) {}

std::span<uint8_t> FrameReader::room() {
  if (direct_) {
    Bytes& payload = large_.payload;
    if (payload.size() == largeArrived_)
      payload.resize(std::min<size_t>(large_.header.payloadBytes, largeArrived_ + kPieceBytes));
    return {payload.data() + largeArrived_, payload.size() - largeArrived_};
  }
  if (from_ == to_) from_ = to_ = 0;
  // A frame that is read into the buffer is at most half as large, so moving it down makes room for its rest.
  if (buffer_.size() - to_ < kDirectBytes && from_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + from_, to_ - from_);
    to_ -= from_;
    from_ = 0;
  }
  return {buffer_.data() + to_, buffer_.size() - to_};
}

void FrameReader::filled(size_t bytes) {
  (direct_ ? largeArrived_ : to_) += bytes;
}

std::optional<Frame> FrameReader::next() {
  if (!problem_.empty()) return std::nullopt;
  if (direct_) {
    if (largeArrived_ < large_.header.payloadBytes) return std::nullopt;
    direct_ = false;
    return std::move(large_);
  }
  if (to_ - from_ < kFrameHeaderBytes) return std::nullopt;
  FrameHeader header;
  problem_ = decodeFrameHeader(std::span<const uint8_t, kFrameHeaderBytes>(buffer_.data() + from_, kFrameHeaderBytes),
                               payloadBytesMax_, header);
  if (!problem_.empty()) return std::nullopt;
  if (to_ - from_ - kFrameHeaderBytes < header.payloadBytes) {
    if (header.payloadBytes > kDirectBytes - kFrameHeaderBytes) startDirect(header);
    return std::nullopt;
  }
  const uint8_t* payload = buffer_.data() + from_ + kFrameHeaderBytes;
  from_ += kFrameHeaderBytes + header.payloadBytes;
  return Frame{header, Bytes(payload, payload + header.payloadBytes)};
}

/// What has arrived of the payload moves to its place; all of the buffer belonged to it.
void FrameReader::startDirect(const FrameHeader& header) {
  direct_ = true;
  large_.header = header;
  const size_t arrived = to_ - from_ - kFrameHeaderBytes;
  Bytes& payload = large_.payload;
  payload = spare_ ? spare_->take() : Bytes();
  if (payload.capacity() < header.payloadBytes) {
    payload.clear();
    payload.reserve(header.payloadBytes);  // addresses only: the pages come as they are written
  }
  // What is there already of spare memory need not be zeroed.
  if (payload.size() > header.payloadBytes || payload.size() < arrived)
    payload.resize(std::max<size_t>(arrived, std::min<size_t>(payload.size(), header.payloadBytes)));
  std::memcpy(payload.data(), buffer_.data() + from_ + kFrameHeaderBytes, arrived);
  largeArrived_ = arrived;
  from_ = to_ = 0;
}

}  // namespace jvmc::cluster
