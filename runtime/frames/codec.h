// A guest thread as bytes: the one encoding for moving, checkpoints and crash recovery. Depends on nothing of the node
// that wrote it: functions are named by content hash, references are global addresses, times are remaining nanoseconds.
//
// Little-endian, no padding:
//
//     u32 magic "JVMT"   u16 version   u16 flags (1 interrupted, 2 park permit, 4 pinned)
//     u64 thread id      u64 Thread object   u32 incarnation   u32 name length, name bytes
//     wait        u8 kind, u8 interruptible, u64 ticket, u64 object, i64 remaining nanoseconds
//     resumption  u8 kind, u8 builtin, u8 flags (1 acquire, 2 remote), i32 detail, u64 value, u64 exception
//     u64 outside calls  i64 guest clock floor
//     statistics  u64 x 6: cpu interpreter, cpu compiled, captures, frames, compiled frames, moves
//     functions   u32 count, then (u64 high, u64 low) hashes
//     frames      u32 count, outermost first, then for each:
//                 u32 function (index in the table above, or a RuntimeFrame), u32 resume point, u32 slot count, slots:
//                 i32 and f32 take 4 bytes, everything else 8, by the slot's type in the baseline function; slots of
//                 runtime frames take 8, but for the trailing slots of kFrameThreadStart
//     u64 XXH3 of everything before
//
// Golden files: tests/golden/frames/. A change of this list is a new version.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ir/support/result.h"
#include "runtime/frames/function_info.h"

namespace jvmc::rt {

inline constexpr uint16_t kThreadImageVersion = 1;

/// The thread must be Parked or captured: data only, without an early answer.
std::vector<uint8_t> encodeThread(const FunctionInfos& functions, const GuestThread& thread);

/// True if a reference found in an image may be used: in range, aligned, perhaps an object. Null is never asked about.
using PlausibleReference = std::function<bool(ObjectRef)>;

/// Decodes and checks everything that a resumed frame relies on: known functions, resume points of the right kind, slot
/// counts, callees that fit the calls they return to, values within their types, references that `plausible` accepts.
/// Errors: kCorrupt, kUnsupportedVersion. Never crashes on any input. Any thread.
Result<std::unique_ptr<GuestThread>> decodeThread(const FunctionInfos& functions, std::span<const uint8_t> image,
                                                  const PlausibleReference& plausible);

}  // namespace jvmc::rt
