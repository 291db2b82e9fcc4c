#include "tests/unit/cluster/support/pipe_net.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

namespace jvmc::cluster::test {
namespace {

constexpr size_t kFrameBytes = 14;  // u32 payload bytes | u8 kind | u8 channel | u64 id

}  // namespace

class PipeNet::PipeResponder final : public Responder {
 public:
  PipeResponder(PipeNet& net, NodeId to, Channel channel, uint64_t id)
      : net_(net), to_(to), channel_(channel), id_(id) {}
  ~PipeResponder() override {
    if (!done_) fail({ErrorCode::kInternal, "dropped"});
  }
  void reply(Bytes payload) override { finish(Kind::Reply, payload); }
  void fail(Error error) override { finish(Kind::Failure, Bytes(error.message.begin(), error.message.end())); }

 private:
  void finish(Kind kind, const Bytes& payload) {
    done_ = true;
    if (id_ != 0) net_.send(to_, kind, channel_, id_, payload);
  }
  PipeNet& net_;
  NodeId to_;
  Channel channel_;
  uint64_t id_;
  bool done_ = false;
};

PipeNet::PipeNet(NodeId self, std::vector<int> sockets, PipeNetOptions options)
    : self_(self), options_(options), random_(options.seed * 1000 + self.value), wakeFd_(eventfd(0, EFD_NONBLOCK)) {
  for (int fd : sockets) {
    peers_.push_back(std::make_unique<Peer>());
    peers_.back()->fd = fd;
  }
}

PipeNet::~PipeNet() {
  stop_ = true;
  wakeIo();
  if (io_.joinable()) io_.join();
  for (auto& peer : peers_)
    if (peer->fd >= 0) close(peer->fd);
  close(wakeFd_);
}

void PipeNet::start() {
  io_ = std::thread([this] { ioLoop(); });
}

std::vector<NodeId> PipeNet::nodes() const {
  std::vector<NodeId> all;
  for (uint32_t i = 0; i < peers_.size(); ++i) all.push_back(NodeId(i));
  return all;
}

void PipeNet::request(NodeId to, Channel channel, Bytes payload, std::function<void(Result<Bytes>)> done) {
  uint64_t id;
  {
    std::lock_guard lock(mutex_);
    id = nextId_++;
    waiting_[id] = std::move(done);
  }
  send(to, Kind::Request, channel, id, payload);
}

void PipeNet::notify(NodeId to, Channel channel, Bytes payload) {
  send(to, Kind::Notify, channel, 0, payload);
}

void PipeNet::postAfter(int64_t nanos, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.emplace(now() + nanos, std::move(task));
  }
  wakeIo();
}

void PipeNet::send(NodeId to, Kind kind, Channel channel, uint64_t id, const Bytes& payload) {
  if (to == self_) return post([=, this] { arrived(self_, kind, channel, id, payload); });
  Peer& peer = *peers_[to.index()];
  uint8_t frame[kFrameBytes];
  const uint32_t bytes = uint32_t(payload.size());
  std::memcpy(frame, &bytes, 4);
  frame[4] = uint8_t(kind);
  frame[5] = uint8_t(channel);
  std::memcpy(frame + 6, &id, 8);
  std::lock_guard lock(peer.mutex);
  peer.out.insert(peer.out.end(), frame, frame + kFrameBytes);
  peer.out.insert(peer.out.end(), payload.begin(), payload.end());
  writeTo(peer);
  if (!peer.out.empty()) wakeIo();
}

/// Under the peer's mutex.
void PipeNet::writeTo(Peer& peer) {
  const ssize_t sent = ::send(peer.fd, peer.out.data(), peer.out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent > 0) peer.out.erase(peer.out.begin(), peer.out.begin() + sent);
}

void PipeNet::arrived(NodeId from, Kind kind, Channel channel, uint64_t id, Bytes payload) {
  if (options_.delayOneIn == 0 || random_.below(options_.delayOneIn) != 0)
    return handle(from, kind, channel, id, std::move(payload));
  postAfter(int64_t(random_.below(uint64_t(options_.delayNanosMax))),
            [=, this, payload = std::move(payload)] { handle(from, kind, channel, id, payload); });
}

void PipeNet::handle(NodeId from, Kind kind, Channel channel, uint64_t id, Bytes payload) {
  if (kind == Kind::Request || kind == Kind::Notify) {
    const Handler& handler = handlers_[size_t(channel)];
    if (handler) handler(from, std::move(payload), std::make_shared<PipeResponder>(*this, from, channel, id));
    return;
  }
  std::function<void(Result<Bytes>)> done;
  {
    std::lock_guard lock(mutex_);
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) return;
    done = std::move(found->second);
    waiting_.erase(found);
  }
  if (kind == Kind::Reply) return done(std::move(payload));
  done(Error{ErrorCode::kRefused, std::string(payload.begin(), payload.end())});
}

void PipeNet::ioLoop() {
  while (!stop_) {
    const int64_t wait = runDueTasks();
    std::vector<pollfd> fds{{wakeFd_, POLLIN, 0}};
    std::vector<NodeId> ids{self_};
    for (uint32_t i = 0; i < peers_.size(); ++i) {
      if (peers_[i]->fd < 0) continue;
      std::lock_guard lock(peers_[i]->mutex);
      fds.push_back({peers_[i]->fd, short(POLLIN | (peers_[i]->out.empty() ? 0 : POLLOUT)), 0});
      ids.push_back(NodeId(i));
    }
    const timespec timeout{wait / 1'000'000'000, wait % 1'000'000'000};
    ppoll(fds.data(), fds.size(), &timeout, nullptr);
    uint64_t ignored;
    if (fds[0].revents) (void)!read(wakeFd_, &ignored, 8);
    for (size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents & POLLOUT) {
        std::lock_guard lock(peers_[ids[i].index()]->mutex);
        writeTo(*peers_[ids[i].index()]);
      }
      if (fds[i].revents & (POLLIN | POLLHUP)) readFrom(ids[i]);
    }
  }
}

void PipeNet::readFrom(NodeId from) {
  Peer& peer = *peers_[from.index()];
  uint8_t buffer[1 << 16];
  const ssize_t got = recv(peer.fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got == 0) {  // the peer has ended
    close(peer.fd);
    peer.fd = -1;
    return;
  }
  if (got < 0) return;
  peer.in.insert(peer.in.end(), buffer, buffer + got);
  size_t at = 0;
  while (peer.in.size() - at >= kFrameBytes) {
    uint32_t bytes;
    uint64_t id;
    std::memcpy(&bytes, &peer.in[at], 4);
    std::memcpy(&id, &peer.in[at + 6], 8);
    if (peer.in.size() - at - kFrameBytes < bytes) break;
    const auto begin = peer.in.begin() + ptrdiff_t(at + kFrameBytes);
    arrived(from, Kind(peer.in[at + 4]), Channel(peer.in[at + 5]), id, Bytes(begin, begin + bytes));
    at += kFrameBytes + bytes;
  }
  peer.in.erase(peer.in.begin(), peer.in.begin() + ptrdiff_t(at));
}

/// Returns nanoseconds until the next task.
int64_t PipeNet::runDueTasks() {
  for (;;) {
    std::function<void()> task;
    {
      std::lock_guard lock(mutex_);
      if (tasks_.empty()) return 100'000'000;
      const int64_t left = tasks_.begin()->first - now();
      if (left > 0) return left;
      task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
    }
    task();
  }
}

void PipeNet::wakeIo() {
  const uint64_t one = 1;
  (void)!write(wakeFd_, &one, 8);
}

}  // namespace jvmc::cluster::test
