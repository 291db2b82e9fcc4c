// etcd by its JSON gateway (version 3.4 and later): POST /v3/..., keys and values in base64.
//
//   /jvmcluster/NAME/agents/ADDRESS   empty; with a lease, renewed by the agent
//   /jvmcluster/NAME/key              proof of the cluster's key: the first agent puts it, others compare
//
// The service only tells who is there. It is not trusted: agents prove the key to each other, and outside loopback show
// certificates, whoever told them of each other.
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/registry/base64.h"
#include "cluster/registry/registry.h"
#include "ir/support/check.h"

namespace jvmc::cluster {

namespace {

using Json = nlohmann::json;

constexpr std::string_view kScheme = "etcd://";
constexpr std::string_view kKeyLabel = "jvmcluster registry 1";
constexpr long kConnectMillis = 1000, kCallMillis = 3000;
constexpr size_t kAnswerBytesMax = 4 << 20;

size_t collect(char* data, size_t size, size_t count, void* into) {
  auto& text = *static_cast<std::string*>(into);
  if (text.size() + size * count > kAnswerBytesMax) return 0;
  text.append(data, size * count);
  return size * count;
}

/// The first key after all that begin with `prefix`.
std::string endOf(std::string prefix) {
  ++prefix.back();
  return prefix;
}

std::string proofOf(const ClusterKey& key, const std::string& name) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(name.data());
  std::string text;
  for (uint8_t byte : key.prove(kKeyLabel, {{bytes, name.size()}})) text += fmt::format("{:02x}", byte);
  return text;
}

class EtcdRegistry final : public Registry {
 public:
  EtcdRegistry(std::vector<std::string> endpoints, std::string name)
      : endpoints_(std::move(endpoints)), name_(std::move(name)), curl_(curl_easy_init()) {
    JVMC_CHECK(curl_ != nullptr);
  }
  ~EtcdRegistry() override { curl_easy_cleanup(curl_); }

  Status announce(const std::string& address, const ClusterKey& key) override {
    if (!lease_.empty()) {
      auto renewed = call("lease/keepalive", {{"ID", lease_}});
      if (!renewed.ok()) return renewed.error();
      if (renewed->value("result", Json::object()).contains("TTL")) return Unit{};
      lease_.clear();  // it has run out
    }
    if (auto same = checkKey(key); !same.ok()) return same;
    auto granted = call("lease/grant", {{"TTL", kLeaseSeconds}});
    if (!granted.ok()) return granted.error();
    const std::string lease = granted->value("ID", std::string());
    if (lease.empty()) return nonsense();
    auto put = call("kv/put", {{"key", toBase64(prefix() + address)}, {"lease", lease}});
    if (!put.ok()) return put.error();
    lease_ = lease;
    return Unit{};
  }

  Status withdraw() override {
    if (lease_.empty()) return Unit{};
    auto revoked = call("lease/revoke", {{"ID", std::exchange(lease_, {})}});
    if (!revoked.ok()) return revoked.error();
    return Unit{};
  }

  Result<std::vector<std::string>> agents() override {
    auto found =
        call("kv/range", {{"key", toBase64(prefix())}, {"range_end", toBase64(endOf(prefix()))}, {"keys_only", true}});
    if (!found.ok()) return found.error();
    std::vector<std::string> addresses;
    for (const Json& entry : found->value("kvs", Json::array())) {
      const auto key = fromBase64(entry.value("key", std::string()));
      if (!key || !key->starts_with(prefix())) return nonsense();
      addresses.push_back(key->substr(prefix().size()));
    }
    return addresses;
  }

 private:
  std::string root() const { return fmt::format("/jvmcluster/{}/", name_); }
  std::string prefix() const { return root() + "agents/"; }
  Error nonsense() const {
    return {ErrorCode::kCorrupt, fmt::format("{} gave an answer that makes no sense", where())};
  }
  std::string where() const { return fmt::format("registry {}{}", kScheme, fmt::join(endpoints_, ",")); }

  /// Puts the proof of the key if there is none (create revision 0), else compares it: one request, so that of two
  /// first agents with different keys one is refused.
  Status checkKey(const ClusterKey& key) {
    const std::string name = toBase64(root() + "key"), proof = toBase64(proofOf(key, name_));
    const Json compare = {{{"target", "CREATE"}, {"result", "EQUAL"}, {"key", name}, {"create_revision", "0"}}};
    const Json put = {{{"request_put", {{"key", name}, {"value", proof}}}}};
    const Json get = {{{"request_range", {{"key", name}}}}};
    auto done = call("kv/txn", {{"compare", compare}, {"success", put}, {"failure", get}});
    if (!done.ok()) return done.error();
    if (done->value("succeeded", false)) return Unit{};
    try {
      if (done->at("responses").at(0).at("response_range").at("kvs").at(0).at("value") == proof) return Unit{};
    } catch (const Json::exception&) {
      return nonsense();
    }
    return Error{ErrorCode::kRefused,
                 fmt::format("the agents listed in {}/{} have another cluster key (see --key-file)", where(), name_)};
  }

  /// At the first endpoint that answers, beginning with the one that did last time.
  Result<Json> call(const std::string& path, const Json& request) {
    Error last;
    for (size_t i = 0; i < endpoints_.size(); ++i) {
      auto answer = callAt(endpoints_.front(), path, request.dump());
      if (answer.ok() || answer.error().code != ErrorCode::kUnavailable) return answer;
      last = std::move(answer).error();
      std::rotate(endpoints_.begin(), endpoints_.begin() + 1, endpoints_.end());
    }
    return last;
  }

  Result<Json> callAt(const std::string& endpoint, const std::string& path, const std::string& body) {
    const std::string url = fmt::format("http://{}/v3/{}", endpoint, path);
    std::string text;
    curl_easy_reset(curl_);
    curl_easy_setopt(curl_, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE, long(body.size()));
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT_MS, kConnectMillis);
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, kCallMillis);
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    if (const CURLcode code = curl_easy_perform(curl_); code != CURLE_OK)
      return Error{ErrorCode::kUnavailable, fmt::format("cannot reach {}: {}", where(), curl_easy_strerror(code))};
    long status = 0;
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &status);
    Json answer = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (status == 200 && answer.is_object()) return answer;
    if (!answer.is_object()) return nonsense();
    // A lease that has run out is no failure of the service.
    if (path.starts_with("lease/")) return Json::object();
    return Error{ErrorCode::kUnavailable, fmt::format("{} says: {}", where(), answer.value("error", "nothing"))};
  }

  std::vector<std::string> endpoints_;
  const std::string name_;
  CURL* const curl_;
  std::string lease_;
};

bool fitsName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

bool Registry::isUrl(const std::string& text) {
  return text.find("://") != std::string::npos;
}

Result<std::unique_ptr<Registry>> Registry::open(const std::string& url) {
  const auto wrong = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidInput,
                 fmt::format("'{}' is no registry: {}; expected etcd://HOST:PORT[,HOST:PORT...][/NAME]", url, why)};
  };
  if (!url.starts_with(kScheme)) return wrong("only etcd is known");
  std::string rest = url.substr(kScheme.size()), name = "default";
  if (const size_t slash = rest.find('/'); slash != std::string::npos) {
    name = rest.substr(slash + 1);
    rest.resize(slash);
  }
  if (!fitsName(name)) return wrong("a name has 1 to 64 letters, digits, '-', '_' or '.'");
  std::vector<std::string> endpoints;
  for (size_t from = 0; from <= rest.size();) {
    const size_t comma = std::min(rest.find(',', from), rest.size());
    endpoints.push_back(rest.substr(from, comma - from));
    const size_t colon = endpoints.back().rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == endpoints.back().size())
      return wrong("each place is HOST:PORT");
    from = comma + 1;
  }
  return std::unique_ptr<Registry>(std::make_unique<EtcdRegistry>(std::move(endpoints), std::move(name)));
}

Result<std::vector<std::string>> agentsOf(const std::string& cluster) {
  if (!Registry::isUrl(cluster)) return std::vector<std::string>{cluster};
  auto registry = Registry::open(cluster);
  if (!registry.ok()) return registry.error();
  auto agents = (*registry)->agents();
  if (agents.ok() && agents->empty())
    return Error{ErrorCode::kUnavailable, fmt::format("no agent is listed in {}", cluster)};
  return agents;
}

}  // namespace jvmc::cluster
