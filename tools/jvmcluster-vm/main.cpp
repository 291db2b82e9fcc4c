// jvmcluster-vm: one node of one program, started by launchers and agents only. A program of its own, so that what a
// person types does not wait for the compiler to be loaded.
#include "cluster/launch/log.h"
#include "cluster/launch/vm_process.h"
#include "cluster/launch/vm_program_node.h"
#include "jit/compiler.h"
#include "tools/common/command_line.h"

namespace {

using namespace jvmc;

int runMain(int argc, char** argv) {
  CLI::App app("One node of one program; started by 'jvmcluster run' and 'jvmcluster node'.", "jvmcluster-vm");
  cluster::VmProcessOptions options;
  std::string logLevel = "warn";
  bool jsonLog = false;
  app.add_option("--program", options.program, "Id of the program")->required();
  app.add_option("--node", options.node, "Number of this node")->required();
  app.add_option("--key-file", options.keyFile, "Key that its callers must know")->required();
  app.add_option("--log", logLevel, "Level of log lines");
  app.add_flag("--json-log", jsonLog, "Log lines as JSON objects");
  if (auto code = tools::parse(app, argc, argv, [] { return false; })) return *code;
  cluster::setupLogging({"node " + std::to_string(options.node), logLevel, jsonLog});
  return cluster::runVmProcess(options, cluster::vmProgramNodes(jit::makeJit));
}

}  // namespace

int main(int argc, char** argv) {
  return tools::guardedMain("jvmcluster-vm", [&] { return runMain(argc, argv); });
}
