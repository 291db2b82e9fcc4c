#include "tools/jvmcluster/stats_file.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "ir/support/write_file.h"

namespace jvmc::tool {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchemaVersion = 1;

bool isLargest(const std::string& name) {
  return name.ends_with("Max") || name.ends_with("p50") || name.ends_with("p99");
}

void addNumber(Json& into, const Json& number, bool largest) {
  if (into.is_null()) {
    into = number;
  } else if (into.is_number_float() || number.is_number_float()) {
    double a = into, b = number;
    into = largest ? std::max(a, b) : a + b;
  } else {
    int64_t a = into, b = number;
    into = largest ? std::max(a, b) : a + b;
  }
}

void addUp(Json& total, const Json& part, const std::string& name) {
  if (part.is_number()) return addNumber(total, part, isLargest(name));
  if (part.is_array()) {
    for (size_t i = 0; i < part.size(); ++i) addUp(total[i], part[i], name);
    return;
  }
  if (!part.is_object()) return;
  for (auto& [key, value] : part.items())
    if (key != "node" && key != "pid" && (value.is_number() || value.is_structured())) addUp(total[key], value, key);
}

}  // namespace

Status writeStats(const std::string& path, const std::string& program, const cluster::RunOutcome& outcome) {
  Json stats = {{"schemaVersion", kSchemaVersion},
                {"program", program},
                {"exitCode", outcome.exitCode},
                {"wallNanos", outcome.wallNanos}};
  Json nodes = Json::array(), total = Json::object();
  for (auto& text : outcome.stats) {
    Json node = text.empty() ? Json() : Json::parse(text, nullptr, false);
    if (node.is_discarded()) node = nullptr;
    nodes.push_back(node);
    addUp(total, node, "");
  }
  stats["nodes"] = std::move(nodes);
  stats["total"] = std::move(total);
  const std::string text = stats.dump(2) + '\n';
  if (path != "-") return writeFile(path, text);
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return Unit{};
  return Error{ErrorCode::kIo, "cannot write statistics to standard output"};
}

}  // namespace jvmc::tool
