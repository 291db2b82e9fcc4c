#include "cluster/net/error_bridge.h"

#include <string_view>

namespace jvmc::cluster {

namespace {

constexpr std::string_view kRemote = "remote exception: ";
constexpr std::string_view kMark = "error ";  // "error N: text", N = ErrorCode

struct Parts {
  int code = -1;  // ErrorCode, or -1 if the exception is not one of ours
  std::string_view text;
};

Parts split(const kj::Exception& exception) {
  std::string_view text = exception.getDescription().cStr();
  while (text.starts_with(kRemote)) text.remove_prefix(kRemote.size());
  if (!text.starts_with(kMark) || text.size() < kMark.size() + 3) return {-1, text};
  int digit = text[kMark.size()] - '0';
  if (digit < 0 || digit > int(ErrorCode::kInternal) || text.substr(kMark.size() + 1, 2) != ": ") return {-1, text};
  return {digit, text.substr(kMark.size() + 3)};
}

}  // namespace

std::string plainText(const kj::Exception& exception) {
  return std::string(split(exception).text);
}

Error toError(const kj::Exception& exception) {
  Parts parts = split(exception);
  if (parts.code >= 0) return {ErrorCode(parts.code), std::string(parts.text)};
  switch (exception.getType()) {
    case kj::Exception::Type::DISCONNECTED:
    case kj::Exception::Type::OVERLOADED:
      return {ErrorCode::kUnavailable, std::string(parts.text)};
    case kj::Exception::Type::UNIMPLEMENTED:
      return {ErrorCode::kUnsupportedVersion, std::string(parts.text)};
    case kj::Exception::Type::FAILED:
      break;
  }
  return {ErrorCode::kInternal, std::string(parts.text)};
}

kj::Exception toException(const Error& error) {
  return kj::Exception(kj::Exception::Type::FAILED, __FILE__, __LINE__,
                       kj::str(kMark.data(), int(error.code), ": ", error.message.c_str()));
}

}  // namespace jvmc::cluster
