#include "cluster/launch/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <time.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

namespace jvmc::cluster {

namespace {

/// %* is seconds of CLOCK_MONOTONIC, microseconds shown.
class MonotonicFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fmt::format_to(fmt::appender(out), "{}.{:06}", now.tv_sec, now.tv_nsec / 1000);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<MonotonicFlag>(); }
};

/// %j is the text as a JSON string.
class JsonTextFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    auto text = nlohmann::json(std::string(message.payload.data(), message.payload.size()))
                    .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonTextFlag>(); }
};

}  // namespace

void setupLogging(const LogOptions& options) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<MonotonicFlag>('*').add_flag<JsonTextFlag>('j');
  if (options.json) {
    formatter->set_pattern(R"({"monotonic":%*,"who":"%n","level":"%l","text":%j})");
  } else {
    formatter->set_pattern("jvmcluster: %* %n: %l: %v");
  }
  auto logger = std::make_shared<spdlog::logger>(options.who, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::move(formatter));
  const char* environment = std::getenv("JVMC_LOG");
  std::string level = environment && *environment ? environment : options.level;
  level = level.substr(0, level.find(','));
  auto parsed = spdlog::level::from_str(level);
  bool unknown = parsed == spdlog::level::off && level != "off";
  logger->set_level(unknown ? spdlog::level::warn : parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace jvmc::cluster
