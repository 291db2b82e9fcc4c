#include "cluster/dashboard/flame.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace jvmc::cluster {

namespace {

using Json = nlohmann::json;

}  // namespace

Status FlameTree::add(const std::string& text) {
  try {
    const Json report = Json::parse(text).at("profile");
    const Json &frames = report.at("frames"), &stacks = report.at("stacks");
    for (const Json& sample : report.at("samples")) {
      if (sample.at("kind") != "cpu") continue;
      const uint64_t nanos = sample.at("value");
      const Json& stack = stacks.at(sample.at("stack").get<size_t>());  // innermost first
      root_.nanos += nanos;
      Call* call = &root_;
      for (size_t i = stack.size(), depth = 0; i-- > 0 && depth < kDepthMax; ++depth) {
        const std::string& function = frames.at(stack.at(i).get<size_t>()).at(0).get_ref<const std::string&>();
        auto known = call->calls.find(function);
        if (known == call->calls.end()) {
          if (size_ == kCallsMax) break;
          ++size_;
          known = call->calls.emplace(function, std::make_unique<Call>()).first;
        }
        call = known->second.get();
        call->nanos += nanos;
      }
    }
  } catch (const std::exception& error) {
    return Error{ErrorCode::kCorrupt, std::string("a profile that makes no sense: ") + error.what()};
  }
  return Unit{};
}

std::string FlameTree::json(double least) const {
  const auto floor = uint64_t(double(root_.nanos) * least);
  const auto toJson = [floor](const auto& self, const std::string& name, const Call& call) -> Json {
    std::vector<std::pair<uint64_t, const std::string*>> order;
    for (const auto& [callee, its] : call.calls)
      if (its->nanos > 0 && its->nanos >= floor) order.emplace_back(its->nanos, &callee);
    std::stable_sort(order.begin(), order.end(), [](auto& a, auto& b) { return a.first > b.first; });
    Json calls = Json::array();
    for (const auto& [nanos, callee] : order) calls.push_back(self(self, *callee, *call.calls.at(*callee)));
    return {{"name", name}, {"nanos", call.nanos}, {"calls", std::move(calls)}};
  };
  return toJson(toJson, "all threads", root_).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace jvmc::cluster
