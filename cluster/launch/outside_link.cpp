#include "cluster/launch/outside_link.h"

#include <utility>

#include "cluster/net/error_bridge.h"

namespace jvmc::cluster {

namespace {

capnp::Data::Reader dataOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string stringOf(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

}  // namespace

void encode(const rt::OutsideCall& call, schema::OutsideCall::Builder out) {
  out.setThread(call.thread.id);
  out.setObject(call.thread.object);
  out.setTicket(call.ticket);
  out.setNumber(call.number);
  out.setNative(call.native);
  auto scalars = out.initScalars(uint32_t(call.scalars.size()));
  for (uint32_t i = 0; i < call.scalars.size(); ++i) scalars.set(i, call.scalars[i]);
  auto bytes = out.initBytes(uint32_t(call.bytes.size()));
  for (uint32_t i = 0; i < call.bytes.size(); ++i) bytes.set(i, dataOf(call.bytes[i]));
}

rt::OutsideCall decode(schema::OutsideCall::Reader in) {
  rt::OutsideCall call;
  call.thread = {in.getThread(), in.getObject()};
  call.ticket = in.getTicket();
  call.number = in.getNumber();
  call.native = in.getNative().cStr();
  for (uint64_t scalar : in.getScalars()) call.scalars.push_back(scalar);
  for (auto bytes : in.getBytes()) call.bytes.push_back(stringOf(bytes));
  return call;
}

void encode(const rt::OutsideResult& result, schema::OutsideResult::Builder out) {
  switch (result.kind) {
    case rt::OutsideResult::Kind::Value:
      return out.setValue(result.value);
    case rt::OutsideResult::Kind::Bytes:
      return out.setBytes(dataOf(result.bytes));
    case rt::OutsideResult::Kind::Null:
      return out.setNull();
    case rt::OutsideResult::Kind::IoError:
      return out.setIoError(result.bytes);
  }
}

rt::OutsideResult decode(schema::OutsideResult::Reader in) {
  using Kind = rt::OutsideResult::Kind;
  switch (in.which()) {
    case schema::OutsideResult::VALUE:
      return {Kind::Value, in.getValue(), ""};
    case schema::OutsideResult::BYTES:
      return {Kind::Bytes, 0, stringOf(in.getBytes())};
    case schema::OutsideResult::NULL_:
      return {Kind::Null, 0, ""};
    case schema::OutsideResult::IO_ERROR:
      return {Kind::IoError, 0, in.getIoError().cStr()};
  }
  return {Kind::IoError, 0, "the launcher answered in a way that this version does not know"};
}

OutsideLink::OutsideLink(IoLoop& loop, schema::Launcher::Client launcher, Deliver deliver, uint64_t dropEvery)
    : loop_(loop), launcher_(kj::mv(launcher)), deliver_(std::move(deliver)), dropEvery_(dropEvery) {}

void OutsideLink::call(rt::OutsideCall call) {
  ++pending_;
  loop_.post([this, attempt = std::make_shared<Attempt>(Attempt{std::move(call)})] {
    open_.insert(attempt);
    attempt->mayDropRequest = dropsNext(requests_);
    attempt->mayDropAnswer = dropsNext(answers_);
    send(attempt);
  });
}

std::vector<rt::OutsideCall> OutsideLink::giveAway() {
  std::vector<rt::OutsideCall> calls;
  for (const auto& attempt : open_) calls.push_back(std::move(attempt->call));
  pending_ -= calls.size();
  open_.clear();
  return calls;
}

void OutsideLink::send(std::shared_ptr<Attempt> attempt) {
  if (!open_.contains(attempt)) return;
  if (std::exchange(attempt->mayDropRequest, false))
    return loop_.postAfter(kRepeatNanos, [this, attempt] { send(attempt); });
  auto request = launcher_.outsideRequest();
  encode(attempt->call, request.initCall());
  loop_.detach(request.send().then(
      [this, attempt](auto response) {
        if (std::exchange(attempt->mayDropAnswer, false)) return send(attempt);
        deliver(attempt, decode(response.getResult()));
      },
      [this, attempt](kj::Exception&& exception) {
        // Without the launcher the program is over; any other failure is the guest's to handle.
        if (exception.getType() == kj::Exception::Type::DISCONNECTED) return;
        deliver(attempt, {rt::OutsideResult::Kind::IoError, 0, plainText(exception)});
      }));
}

void OutsideLink::deliver(const std::shared_ptr<Attempt>& attempt, rt::OutsideResult result) {
  if (open_.erase(attempt) == 0) return;  // given away
  deliver_(attempt->call.thread, attempt->call.ticket, std::move(result));
  --pending_;
}

}  // namespace jvmc::cluster
