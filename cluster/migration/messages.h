// The messages about threads (Channel::Threads). Little-endian, packed.
//
//   SHIP      request  u8 1 | thread id u64 | Thread object u64 | incarnation u32 | sent i64 (sender's monotonic clock)
//   |
//                      image (the rest; runtime/frames/codec.h)
//        ->            u8 outcome (MoveOutcome) | u32 credits granted | reason, text (the rest)
//   MAIL      notify   u8 2 | hops u8 | 1 + incarnation of the last hint, or 0, u32 | thread id u64 |
//                      Thread object u64 | mail (putMail)
//   LOCATION  notify   u8 3 | thread id u64 | Thread object u64 | incarnation u32 | node u32
//                      to the home of the Thread object, which sends it on if it is not any more
#pragma once

#include "cluster/objects/messages.h"

namespace jvmc::cluster {

enum class ThreadMessage : uint8_t { Ship = 1, Mail = 2, Location = 3 };

/// What became of a thread that was sent.
enum class MoveOutcome : uint8_t {
  Accepted,  ///< it runs there
  Full,      ///< the target has no room
  Leaving,   ///< the target is about to end
  BadImage,  ///< the target cannot make sense of it
};
const char* describe(MoveOutcome outcome);

/// Head of a SHIP message; the image follows.
struct ShipHead {
  rt::ThreadRef thread;
  uint32_t incarnation = 0;
  int64_t sentNanos = 0;
};
void putShipHead(ByteWriter& out, const ShipHead& head);
ShipHead getShipHead(ByteReader& in);

void putMail(ByteWriter& out, const rt::ThreadMail& mail);
/// The answer of mail that has crossed nodes is marked `remote`.
rt::ThreadMail getMail(ByteReader& in);

}  // namespace jvmc::cluster
