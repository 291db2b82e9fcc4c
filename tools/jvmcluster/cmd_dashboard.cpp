// jvmcluster dashboard: a web page that shows a running program.
#include <cstdio>

#include "cluster/dashboard/dashboard.h"
#include "cluster/dashboard/http_gate.h"
#include "cluster/launch/log.h"
#include "cluster/net/address.h"
#include "cluster/net/key.h"
#include "tools/common/command_line.h"
#include "tools/jvmcluster/clusters.h"

namespace jvmc::tool {

namespace {

struct DashboardOptions {
  std::string program, cluster, keyFile, listen = "127.0.0.1:0", token;
};

int fail(const CommonOptions& common, const Error& error) {
  printError(common, error.message);
  return exitCodeOf(error);
}

/// Where the program answers, and its id. The connections it takes to find that are closed again.
Result<Clusters::Program> find(const DashboardOptions& options) {
  ClusterOptions where;
  where.cluster = options.cluster;
  where.keyFile = options.keyFile;
  auto clusters = Clusters::open(where);
  if (!clusters.ok()) return clusters.error();
  return clusters->program(options.program);
}

int serve(const CommonOptions& common, const DashboardOptions& options) {
  cluster::setupLogging({"dashboard", common.logLevel(), common.jsonLog});
  auto program = find(options);
  if (!program.ok()) return fail(common, program.error());
  auto place = cluster::openHttpPlace(options.listen, options.token);
  if (!place.ok()) return fail(common, place.error());
  auto served = cluster::serveDashboard(program->endpoint, program->view.id, *place, [&place] {
    std::printf("%s\n", place->url.c_str());
    std::fflush(stdout);
  });
  return served.ok() ? kOk : fail(common, served.error());
}

}  // namespace

std::string isTokenChoice(const std::string& text) {
  return text == "auto" ? "" : tools::parsesWith(cluster::parseToken)(text);
}

void addDashboard(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<DashboardOptions>();
  options->keyFile = cluster::defaultKeyPath();
  CLI::App* command = app.add_subcommand("dashboard", "Serve a web page that shows a running program, and its metrics");
  command->add_option("PROGRAM", options->program, "Id, a prefix of it, or name; may be left out if only one runs");
  command
      ->add_option("--cluster", options->cluster,
                   "An agent's HOST:PORT (default: what runs on this machine for this user)")
      ->envname("JVMC_CLUSTER");
  command->add_option("--key-file", options->keyFile, "Key of the cluster at --cluster")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
  command->add_option("--listen", options->listen, "HOST:PORT of the page; port 0: a free one")
      ->check(tools::parsesWith(cluster::Address::parse))
      ->capture_default_str();
  command
      ->add_option("--token", options->token,
                   "Token that the page wants; auto: a random one, as always beyond loopback")
      ->envname("JVMC_TOKEN")
      ->check(isTokenChoice);
  command->footer(
      "Prints the address of the page and serves it until it gets a signal, also when the program has ended. The\n"
      "connection is not encrypted: to look from another machine, use a tunnel (ssh -L 8080:127.0.0.1:PORT HOST).\n"
      "Prometheus finds metrics at /metrics.\n\n"
      "Examples:\n  jvmcluster dashboard\n  jvmcluster dashboard nbody.ir --listen 127.0.0.1:8080\n"
      "  jvmcluster dashboard --cluster 127.0.0.1:7000 --token auto");
  command->callback([&common, options, &action] { action = [&common, options] { return serve(common, *options); }; });
}

}  // namespace jvmc::tool
