// Natives that run in place: numbers as text (locale-free), the clock, the node.
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "runtime/helpers/access.h"
#include "runtime/helpers/throwing.h"
#include "runtime/interp/arithmetic.h"
#include "runtime/natives/natives.h"
#include "runtime/vm.h"

namespace jvmc::rt {
namespace {

template <class T>
void parseNumber(ThreadContext& ctx, ObjectRef array, uint64_t* result) {
  if (array == kNullRef) return jvmc_throwBuiltin(&ctx, uint32_t(BuiltinThrow::NullPointer), 0);
  std::string text = readBytes(&ctx, array);
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+' && end - begin > 1 && begin[1] != '-') ++begin;
  T value{};
  auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end)
    return throwException(ctx, ir::builtin::kIllegalArgumentException, "not a number: '" + text + "'");
  *result = toSlot(value);
}

}  // namespace

void bytesFromI64(ThreadContext& ctx, const uint64_t* args, uint64_t* result) {
  char text[24];
  auto [end, error] = std::to_chars(text, text + sizeof text, int64_t(args[0]));
  *result = newByteArray(&ctx, {text, size_t(end - text)});
}

void bytesFromF64(ThreadContext& ctx, const uint64_t* args, uint64_t* result) {
  double value = fromSlot<double>(args[0]);
  if (std::isnan(value)) {  // without its sign, which may differ between machines
    *result = newByteArray(&ctx, "nan");
    return;
  }
  char text[40];
  auto [end, error] = std::to_chars(text, text + sizeof text, value);
  *result = newByteArray(&ctx, {text, size_t(end - text)});
}

void bytesParseI64(ThreadContext& ctx, const uint64_t* args, uint64_t* result) {
  parseNumber<int64_t>(ctx, args[0], result);
}
void bytesParseF64(ThreadContext& ctx, const uint64_t* args, uint64_t* result) {
  parseNumber<double>(ctx, args[0], result);
}

void clockMonotonicNanos(ThreadContext& ctx, const uint64_t*, uint64_t* result) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t nanos = int64_t(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  int64_t& floor = ctx.thread->guestClockFloor;  // another node's clock may have been ahead
  floor = std::max(floor, nanos);
  *result = uint64_t(floor);
}

void threadNode(ThreadContext& ctx, const uint64_t*, uint64_t* result) {
  *result = ctx.vm->options().node.value;
}

void threadPin(ThreadContext& ctx, const uint64_t*, uint64_t*) {
  ctx.thread->setPinned(true);
}

void threadUnpin(ThreadContext& ctx, const uint64_t*, uint64_t*) {
  ctx.thread->setPinned(false);
}

}  // namespace jvmc::rt
