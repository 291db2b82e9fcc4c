// jvmcluster node: an agent of a cluster that is put together by hand. jvmcluster vm: one node of one program, started
// by launchers and agents only.
#include "cluster/launch/agent.h"
#include "cluster/launch/log.h"
#include "cluster/launch/vm_process.h"
#include "cluster/launch/vm_program_node.h"
#include "cluster/net/key.h"
#include "jit/compiler.h"
#include "tools/jvmcluster/commands.h"

namespace jvmc::tool {

void addNode(CLI::App& app, CommonOptions& common, Action& action) {
  auto options = std::make_shared<cluster::AgentOptions>();
  options->keyFile = cluster::defaultKeyPath();
  CLI::App* command = app.add_subcommand("node", "Offer this machine to a cluster (an agent that starts VM processes)");
  command
      ->add_option("--listen", options->listen, "HOST:PORT to listen on; loopback only until connections are encrypted")
      ->envname("JVMC_LISTEN")
      ->required();
  command->add_option("--join", options->join, "HOST:PORT of any agent of the cluster; none: begin a new one")
      ->envname("JVMC_JOIN");
  command->add_option("--key-file", options->keyFile, "Key of the cluster; made if it is not there")
      ->envname("JVMC_KEY_FILE")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  jvmcluster node --listen 127.0.0.1:7000\n"
      "  jvmcluster node --listen 127.0.0.1:7001 --join 127.0.0.1:7000\n"
      "Ends on SIGINT or SIGTERM; VM processes of this agent end with it.");
  command->callback([&common, options, &action] {
    action = [&common, options] {
      options->logLevel = common.verbosity >= 1 ? "debug" : "info";
      options->jsonLog = common.jsonLog;
      cluster::setupLogging({"agent", options->logLevel, common.jsonLog});
      auto served = cluster::runAgent(*options);
      if (served.ok()) return *served;
      printError(common, served.error().message);
      return exitCodeOf(served.error());
    };
  });
}

void addVm(CLI::App& app, CommonOptions& common, Action& action) {
  struct VmOptions {
    cluster::VmProcessOptions process;
    std::string logLevel = "warn";
  };
  auto options = std::make_shared<VmOptions>();
  CLI::App* command = app.add_subcommand("vm", "One node of one program; started by launchers and agents")->group("");
  command->add_option("--program", options->process.program)->required();
  command->add_option("--node", options->process.node)->required();
  command->add_option("--nodes", options->process.nodeCount)->required();
  command->add_option("--key-file", options->process.keyFile)->required();
  command->add_option("--log", options->logLevel);
  command->callback([&common, options, &action] {
    action = [&common, options] {
      cluster::setupLogging({"node " + std::to_string(options->process.node), options->logLevel, common.jsonLog});
      return cluster::runVmProcess(options->process, cluster::vmProgramNodes(jit::makeJit));
    };
  });
}

}  // namespace jvmc::tool
