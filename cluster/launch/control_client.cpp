#include "cluster/launch/control_client.h"

#include <optional>

#include "cluster/launch/views_codec.h"
#include "cluster/net/error_bridge.h"
#include "cluster/net/rpc_connection.h"
#include "cluster/registry/registry.h"

namespace jvmc::cluster {

namespace {

constexpr auto kAnswerTime = 15 * kj::SECONDS;

class RpcControlClient final : public ControlClient {
 public:
  RpcControlClient() { loop_.startThread(); }
  ~RpcControlClient() noexcept override {
    loop_.runSync([this] {
      control_ = nullptr;
      connection_ = nullptr;
    });
  }

  Status open(const Address& address, const Credentials& credentials) {
    return wait<Unit>([&] {
      HelloInfo self;
      self.role = Role::Command;
      return callPeer(loop_, address, credentials, self, nullptr).then([this](kj::Own<RpcConnection> connection) {
        control_ = connection->peer().castAs<schema::Control>();
        connection_ = kj::mv(connection);
        return Unit{};
      });
    });
  }

  Result<std::vector<ProgramView>> programs() override {
    return wait<std::vector<ProgramView>>([&] {
      return control().programsRequest().send().then([](auto r) { return decodeList<ProgramView>(r.getPrograms()); });
    });
  }
  Result<std::vector<AgentView>> agents() override {
    return wait<std::vector<AgentView>>([&] {
      return control().agentsRequest().send().then([](auto r) { return decodeList<AgentView>(r.getAgents()); });
    });
  }
  Result<std::vector<NodeView>> nodes(const std::string& program) override {
    return wait<std::vector<NodeView>>([&] {
      auto request = control().nodesRequest();
      request.setProgram(program);
      return request.send().then([](auto r) { return decodeList<NodeView>(r.getNodes()); });
    });
  }
  Result<std::vector<ThreadView>> threads(const std::string& program) override {
    return wait<std::vector<ThreadView>>([&] {
      auto request = control().threadsRequest();
      request.setProgram(program);
      return request.send().then([](auto r) { return decodeList<ThreadView>(r.getThreads()); });
    });
  }
  Result<std::vector<std::string>> inspect(const std::string& program, uint32_t classes, bool collect) override {
    return wait<std::vector<std::string>>([&] {
      auto request = control().inspectRequest();
      request.setProgram(program);
      request.setClasses(classes);
      request.setCollect(collect);
      return request.send().then([](auto r) {
        std::vector<std::string> reports;
        for (auto report : r.getReports()) reports.emplace_back(report.cStr());
        return reports;
      });
    });
  }
  Result<std::vector<std::string>> observe(const std::string& program, const std::string& text) override {
    return wait<std::vector<std::string>>([&] {
      auto request = control().observeRequest();
      request.setProgram(program);
      request.setRequest(text);
      return request.send().then([](auto r) {
        std::vector<std::string> reports;
        for (auto report : r.getReports()) reports.emplace_back(report.cStr());
        return reports;
      });
    });
  }
  Status migrate(const std::string& program, uint64_t thread, uint32_t node) override {
    return wait<Unit>([&] {
      auto request = control().migrateRequest();
      request.setProgram(program);
      request.setThread(thread);
      request.setNode(node);
      return request.send().then([](auto) { return Unit{}; });
    });
  }
  Status pin(const std::string& program, uint64_t thread, bool pinned, std::optional<uint32_t> node) override {
    return wait<Unit>([&] {
      auto request = control().pinRequest();
      request.setProgram(program);
      request.setThread(thread);
      request.setPinned(pinned);
      request.setMoves(node.has_value());
      request.setNode(node.value_or(0));
      return request.send().then([](auto) { return Unit{}; });
    });
  }
  Result<DecisionsView> decisions(const std::string& program) override {
    return wait<DecisionsView>([&] {
      auto request = control().decisionsRequest();
      request.setProgram(program);
      return request.send().then([](auto r) {
        return DecisionsView{r.getPolicy().cStr(), r.getDryRun(), decodeList<DecisionView>(r.getDecisions())};
      });
    });
  }
  Result<BlocksMovedView> moveBlocks(const std::string& program, uint32_t source, uint32_t target,
                                     uint64_t bytes) override {
    return wait<BlocksMovedView>([&] {
      auto request = control().moveBlocksRequest();
      request.setProgram(program);
      request.setSource(source);
      request.setTarget(target);
      request.setBytes(bytes);
      return request.send().then([](auto r) { return decode(r.getMoved()); });
    });
  }
  Result<uint32_t> grow(const std::string& program, const std::string& agent) override {
    return wait<uint32_t>([&] {
      auto request = control().growRequest();
      request.setProgram(program);
      request.setAgent(agent);
      return request.send().then([](auto r) { return uint32_t(r.getNode()); });
    });
  }
  Result<DrainView> drain(const std::string& program, uint32_t node, bool begin, int64_t deadlineNanos) override {
    return wait<DrainView>([&] {
      auto request = control().drainRequest();
      request.setProgram(program);
      request.setNode(node);
      request.setBegin(begin);
      request.setDeadlineNanos(deadlineNanos);
      return request.send().then([](auto r) { return decode(r.getDrain()); });
    });
  }
  Result<std::string> stop(const std::string& program) override {
    return wait<std::string>([&] {
      auto request = control().stopRequest();
      request.setProgram(program);
      return request.send().then([](auto r) { return std::string(r.getId().cStr()); });
    });
  }

 private:
  schema::Control::Client& control() { return KJ_ASSERT_NONNULL(control_); }

  /// Runs `begin` on the loop and waits for what it promises.
  template <class T, class Begin>
  Result<T> wait(Begin begin) {
    std::optional<Result<T>> result;
    std::mutex mutex;
    std::condition_variable changed;
    auto finish = [&](Result<T> value) {
      std::lock_guard lock(mutex);
      result.emplace(std::move(value));
      changed.notify_all();
    };
    loop_.post([&] {
      loop_.detach(loop_.timer()
                       .timeoutAfter(kAnswerTime, begin())
                       .then([finish](T value) { finish(std::move(value)); },
                             [finish](kj::Exception&& exception) { finish(toError(exception)); }));
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return result.has_value(); });
    return std::move(*result);
  }

  IoLoop loop_{{}};
  kj::Own<RpcConnection> connection_;
  kj::Maybe<schema::Control::Client> control_;
};

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::connect(const Endpoint& endpoint) {
  auto credentials = Credentials::read(endpoint.keyFile);
  if (!credentials.ok()) return credentials.error();
  auto agents = agentsOf(endpoint.address);
  if (!agents.ok()) return agents.error();
  Error last;
  for (const std::string& agent : *agents) {
    auto address = Address::parse(agent);
    if (!address.ok()) return address.error();
    auto client = std::make_unique<RpcControlClient>();
    auto opened = client->open(*address, *credentials);
    if (opened.ok()) return std::unique_ptr<ControlClient>(std::move(client));
    last = std::move(opened).error();
  }
  return last;
}

}  // namespace jvmc::cluster
