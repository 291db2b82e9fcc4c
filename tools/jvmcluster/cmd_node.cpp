// jvmcluster node: an agent of a cluster that is put together by hand.
#include <cstdio>

#include "cluster/launch/agent.h"
#include "cluster/launch/log.h"
#include "cluster/net/address.h"
#include "cluster/net/key.h"
#include "cluster/registry/registry.h"
#include "tools/common/command_line.h"
#include "tools/jvmcluster/commands.h"

namespace jvmc::tool {

void addNode(CLI::App& app, CommonOptions& common, Action& action) {
  struct Metrics {
    std::string listen, token;
  };
  auto options = std::make_shared<cluster::AgentOptions>();
  auto metrics = std::make_shared<Metrics>();
  options->keyFile = cluster::defaultKeyPath();
  CLI::App* command = app.add_subcommand("node", "Offer this machine to a cluster (an agent that starts VM processes)");
  command
      ->add_option("--listen", options->listen,
                   "HOST:PORT to listen on; beyond loopback certificates are needed (see keygen)")
      ->envname("JVMC_LISTEN")
      ->check(tools::parsesWith(cluster::Address::parse))
      ->required();
  command->add_option("--join", options->join, "HOST:PORT of any agent of the cluster; none: begin a new one")
      ->envname("JVMC_JOIN")
      ->check(tools::parsesWith(cluster::Address::parse));
  command
      ->add_option("--registry", options->registry,
                   "etcd://HOST:PORT[,HOST:PORT...][/NAME]: agents find each other there, instead of by --join")
      ->envname("JVMC_REGISTRY")
      ->check(tools::parsesWith(cluster::Registry::open));
  command->add_option("--key-file", options->keyFile, "Key of the cluster; made if it is not there")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
  command->add_option("--drain", options->drainSeconds, "Seconds that its nodes have to get empty after SIGTERM")
      ->envname("JVMC_DRAIN")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--metrics", metrics->listen, "HOST:PORT to serve metrics of the nodes here, for Prometheus")
      ->envname("JVMC_METRICS")
      ->check(tools::parsesWith(cluster::Address::parse));
  command
      ->add_option("--metrics-token", metrics->token,
                   "Token that --metrics wants; auto: a random one, as always beyond loopback")
      ->envname("JVMC_METRICS_TOKEN")
      ->check(isTokenChoice);
  command->footer(
      "Examples:\n"
      "  jvmcluster node --listen 127.0.0.1:7000\n"
      "  jvmcluster node --listen 127.0.0.1:7001 --join 127.0.0.1:7000\n"
      "  jvmcluster node --listen 127.0.0.1:7002 --registry etcd://127.0.0.1:2379\n"
      "On SIGTERM its nodes are drained first: running programs go on without them. A node that does not get empty in "
      "time\nis lost with the agent (exit code 1), and its program ends with an error. SIGINT ends it at once.");
  command->callback([&common, options, metrics, &action] {
    action = [&common, options, metrics] {
      options->logLevel = common.verbosity >= 1 ? "debug" : "info";
      options->jsonLog = common.jsonLog;
      cluster::setupLogging({"agent", options->logLevel, common.jsonLog});
      if (!metrics->listen.empty()) {
        auto place = cluster::openHttpPlace(metrics->listen, metrics->token);
        if (!place.ok()) return printError(common, "metrics: " + place.error().message), exitCodeOf(place.error());
        // The address of a page keeps its token in a cookie; scrapers send theirs with each request.
        std::fprintf(stderr, "jvmcluster: metrics: %s\n", place->url.c_str());
        options->metrics = *place;
      }
      auto served = cluster::runAgent(*options);
      if (served.ok()) return *served;
      printError(common, served.error().message);
      return exitCodeOf(served.error());
    };
  });
}

}  // namespace jvmc::tool
