#include "cluster/membership/control_channel.h"

#include <fmt/format.h>

namespace jvmc::cluster {

namespace {

Bytes withKind(ControlKind kind, Bytes payload) {
  payload.insert(payload.begin(), uint8_t(kind));
  return payload;
}

}  // namespace

ControlChannel::ControlChannel(NodeNet& net) : net_(net) {
  net_.setHandler(Channel::Control, [this](NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
    dispatch(from, std::move(payload), std::move(responder));
  });
  setHandler(ControlKind::Ping, [](NodeId, Bytes, std::shared_ptr<Responder> responder) { responder->reply({}); });
}

void ControlChannel::setHandler(ControlKind kind, NodeNet::Handler handler) {
  std::lock_guard lock(mutex_);
  handlers_[size_t(kind)] = std::move(handler);
}

void ControlChannel::request(NodeId to, ControlKind kind, Bytes payload, std::function<void(Result<Bytes>)> done) {
  net_.request(to, Channel::Control, withKind(kind, std::move(payload)), std::move(done));
}

void ControlChannel::notify(NodeId to, ControlKind kind, Bytes payload) {
  net_.notify(to, Channel::Control, withKind(kind, std::move(payload)));
}

void ControlChannel::dispatch(NodeId from, Bytes payload, std::shared_ptr<Responder> responder) {
  if (payload.empty() || payload[0] >= handlers_.size())
    return responder->fail({ErrorCode::kInvalidInput, "a control message of no known kind"});
  NodeNet::Handler handler;
  {
    std::lock_guard lock(mutex_);
    handler = handlers_[payload[0]];
  }
  if (!handler)
    return responder->fail(
        {ErrorCode::kUnavailable, fmt::format("control messages of kind {} are not served", payload[0])});
  payload.erase(payload.begin());
  handler(from, std::move(payload), std::move(responder));
}

}  // namespace jvmc::cluster
