#include "tests/simulator/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cluster/membership/control_channel.h"
#include "cluster/objects/messages.h"

namespace jvmc::sim {

namespace {

uint8_t kindOf(const Bytes& payload) {
  return payload.empty() ? 0 : payload[0];
}

Error lost(NodeId node) {
  return {ErrorCode::kUnavailable, fmt::format("node {} is lost: it cannot be reached any more", node.value)};
}

}  // namespace

/// Answers over the net, once; an answer that is never given is an error.
class SimNet::SimResponder final : public Responder {
 public:
  SimResponder(Network& network, NodeId here, NodeId asker, uint64_t number)
      : network_(network), here_(here), asker_(asker), number_(number) {}
  ~SimResponder() override {
    if (!answered_ && network_.find(here_)) send(Error{ErrorCode::kUnavailable, "the request was dropped"});
  }
  void reply(Bytes payload) override { send(std::move(payload)); }
  void fail(Error error) override { send(std::move(error)); }

 private:
  void send(Result<Bytes> result) {
    if (std::exchange(answered_, true) || number_ == 0) return;
    const size_t bytes = result.ok() ? result->size() : 0;
    auto arrive = [&network = network_, asker = asker_, here = here_, number = number_, result = std::move(result)] {
      if (SimNet* net = network.find(asker)) net->answer(here, number, result);
    };
    network_.carry(here_, asker_, bytes, false, std::move(arrive));
  }

  Network& network_;
  const NodeId here_, asker_;
  const uint64_t number_;  // 0: a notification
  bool answered_ = false;
};

// ---------------------------------------------------------------- links

void Network::add(SimNet& net) {
  if (nets_.size() <= net.self().index()) nets_.resize(net.self().index() + 1);
  nets_[net.self().index()] = &net;
}

void Network::remove(NodeId node) {
  nets_[node.index()] = nullptr;
}

int64_t Network::delay() {
  int64_t nanos = events.between(profile_.delayNanosMin, profile_.delayNanosMax);
  if (events.chance(profile_.straggling)) nanos += events.between(0, 10 * profile_.delayNanosMax);
  for (int64_t timeout = kRetransmitNanos; events.chance(profile_.loss); timeout *= 2) nanos += timeout;
  return nanos;
}

void Network::carry(NodeId from, NodeId to, size_t bytes, bool barrier, Events::Task what) {
  if (isClosed_) return;
  if (isCut(from, to)) {
    held_.push_back({from, to, bytes, std::move(what), false, false});
    return;
  }
  // A barrier comes after all that was sent before it, on whichever link.
  const LinkKey key{from.value, to.value, bytes > kSmallBytesMax};
  Link& link = links_[key];
  Link& other = links_[{from.value, to.value, bytes <= kSmallBytesMax}];
  int64_t arrival = events.now() + (from == to ? events.between(0, 2 * kMicros) : delay());
  if (profile_.ordered) arrival = std::max(arrival, link.lastArrival + 1);
  if (barrier) arrival = std::max({arrival, link.lastArrival + 1, other.lastArrival + 1});
  link.lastArrival = std::max(link.lastArrival, arrival);
  if (from == to) return events.at(to.value, arrival - events.now(), std::move(what));
  // Frames keep their order in any case; where messages keep none, handling what is in them takes its time.
  const int64_t frameTime =
      profile_.ordered ? arrival : std::max(events.now() + profile_.delayNanosMin, link.lastFrame + 1);
  link.lastFrame = frameTime;
  sendFrame(key, frameTime, arrival, repeatsNext(), std::move(what));
}

/// What the frame carries is handled at `arrival`, if the receiver takes it.
void Network::sendFrame(const LinkKey& key, int64_t frameTime, int64_t arrival, bool repeats, Events::Task what) {
  const uint32_t number = links_[key].sent++;
  const Actor to = key[1];
  auto arrive = [this, key, number, later = arrival - frameTime, what = std::move(what)] {
    const cluster::FrameOrder::Verdict verdict = links_[key].order.take(number);
    if (verdict == cluster::FrameOrder::Verdict::Gap) return history.fail("a frame is missing");
    if (verdict == cluster::FrameOrder::Verdict::Again) {
      ++repeated_;
      history.note(What::Repeated, key[1], key[0], number);
      if (!profile_.takesRepeated) return;
    }
    later > 0 ? events.at(key[1], later, what) : what();
  };
  if (repeats) {
    const int64_t again = 1 + int64_t(repetitions_.below(uint64_t(2 * kRetransmitNanos)));
    events.at(to, frameTime - events.now() + again, arrive);
  }
  events.at(to, frameTime - events.now(), std::move(arrive));
}

/// The next frame comes twice. What could not be sent during a cut has been sent again and again.
bool Network::repeatsNext() {
  const double share = profile_.repeats > 0 && heals_ ? 0.5 : profile_.repeats;
  return double(repetitions_.below(1'000'000)) < share * 1e6;
}

void Network::carryForLauncher(NodeId node, bool toNode, Events::Task what) {
  if (side_.contains(node)) {
    held_.push_back({node, node, 0, std::move(what), true, toNode});
    return;
  }
  Link& link = links_[{toNode ? kLauncher : node.value, toNode ? node.value : kLauncher, 0}];
  const int64_t arrival = std::max(events.now() + delay(), link.lastArrival + 1);
  link.lastArrival = arrival;
  events.at(toNode ? node.value : kLauncher, arrival - events.now(), std::move(what));
}

void Network::cut(std::set<NodeId> side) {
  history.note(What::Cut, side.empty() ? 0 : side.begin()->value, side.size());
  side_ = std::move(side);
}

void Network::heal() {
  history.note(What::Healed);
  side_.clear();
  heals_ = true;
  for (Held& message : std::exchange(held_, {})) {
    if (message.ofLauncher)
      carryForLauncher(message.from, message.toNode, std::move(message.what));
    else
      carry(message.from, message.to, message.bytes, false, std::move(message.what));
  }
  heals_ = false;
}

void Network::crash(NodeId node, int64_t noticedAfterNanos) {
  history.note(What::Crashed, node.value);
  events.kill(node.value);
  for (SimNet* net : nets_) {
    if (!net || net->self() == node) continue;
    const NodeId peer = net->self();
    events.at(peer.value, noticedAfterNanos + delay(), [this, peer, node] {
      if (SimNet* alive = find(peer)) alive->losePeer(node);
    });
  }
}

// ---------------------------------------------------------------- one node

void SimNet::request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) {
  Peer& peer = peers_[to];
  if (peer.lost) return post([done = std::move(done), to] { done(lost(to)); });
  const uint64_t number = ++peer.asked;
  peer.waiting.emplace(number, std::move(done));
  const bool isPing =
      channel == Channel::Control && !payload.empty() && payload[0] == uint8_t(cluster::ControlKind::Ping);
  const size_t bytes = payload.size();
  network_.carry(self_, to, bytes, isPing,
                 [&network = network_, from = self_, to, channel, number, payload = std::move(payload)] {
                   auto responder = std::make_shared<SimResponder>(network, to, from, number);
                   if (SimNet* net = network.find(to)) net->receive(from, channel, payload, std::move(responder));
                 });
}

void SimNet::notify(NodeId to, Channel channel, Bytes payload) {
  if (peers_[to].lost) return;
  const size_t bytes = payload.size();
  network_.carry(self_, to, bytes, false,
                 [&network = network_, from = self_, to, channel, payload = std::move(payload)] {
                   auto nobody = std::make_shared<SimResponder>(network, to, from, 0);
                   if (SimNet* net = network.find(to)) net->receive(from, channel, payload, std::move(nobody));
                 });
}

void SimNet::postAfter(int64_t nanos, std::function<void()> task) {
  network_.events.at(self_.value, nanos, [&network = network_, self = self_, task = std::move(task)] {
    if (network.find(self)) task();
  });
}

void SimNet::receive(NodeId from, Channel channel, Bytes payload, std::shared_ptr<Responder> responder) {
  uint64_t about = 0;
  // A REFRESH begins with a secret, which differs from run to run; nothing that happens depends on it.
  const bool isSecret = channel == Channel::Objects && kindOf(payload) == uint8_t(cluster::ObjectMessage::Refresh);
  if (payload.size() >= 9 && !isSecret) std::memcpy(&about, &payload[1], 8);
  const uint64_t kind = uint64_t(channel) << 8 | kindOf(payload);
  network_.history.note(What::Message, self_.value, from.value, kind, about);
  const Handler& handler = handlers_[size_t(channel)];
  if (!handler) return responder->fail({ErrorCode::kUnavailable, "no handler for the channel"});
  handler(from, std::move(payload), std::move(responder));
}

void SimNet::answer(NodeId peer, uint64_t number, Result<Bytes> result) {
  auto node = peers_[peer].waiting.extract(number);
  if (node.empty()) return;  // failed before
  network_.history.note(What::Answer, self_.value, peer.value, number, result.ok() ? result->size() : 0);
  node.mapped()(std::move(result));
}

uint64_t SimNet::asked(NodeId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second.asked;
}

bool SimNet::answered(NodeId peer, uint64_t count) const {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return true;
  const auto& waiting = found->second.waiting;
  return waiting.empty() || waiting.begin()->first > count;
}

void SimNet::losePeer(NodeId peer) {
  peers_[peer].lost = true;
  for (auto& [number, done] : std::exchange(peers_[peer].waiting, {})) done(lost(peer));
}

}  // namespace jvmc::sim
