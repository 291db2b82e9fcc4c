#include "cluster/migration/messages.h"

namespace jvmc::cluster {

using rt::ThreadMail;

const char* describe(MoveOutcome outcome) {
  switch (outcome) {
    case MoveOutcome::Accepted:
      return "accepted";
    case MoveOutcome::Full:
      return "the target has no room";
    case MoveOutcome::Leaving:
      return "the target is about to end";
    case MoveOutcome::BadImage:
      return "the target cannot read the thread";
  }
  return "unknown";
}

void putShipHead(ByteWriter& out, const ShipHead& head) {
  out.put(uint8_t(ThreadMessage::Ship));
  putThreadRef(out, head.thread);
  out.put(head.incarnation);
  out.put(head.sentNanos);
}

ShipHead getShipHead(ByteReader& in) {
  ShipHead head;
  head.thread = getThreadRef(in);
  head.incarnation = in.get<uint32_t>();
  head.sentNanos = in.getI64();
  return head;
}

void putMail(ByteWriter& out, const ThreadMail& mail) {
  out.put(uint8_t(mail.kind));
  out.put(mail.ticket);
  putResumption(out, mail.answer);
  putThreadRef(out, mail.asker);
  out.put(mail.target.value);
}

ThreadMail getMail(ByteReader& in) {
  ThreadMail mail{};
  mail.kind = in.getEnum(ThreadMail::Kind::Unpin);
  mail.ticket = in.get<uint64_t>();
  mail.answer = getResumption(in);
  mail.asker = getThreadRef(in);
  mail.target = NodeId(in.get<uint32_t>());
  return mail;
}

}  // namespace jvmc::cluster
