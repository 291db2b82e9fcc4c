// sproutc FILE.sprout -o FILE.irm: compiles a Sprout program into a portable module.
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "examples/frontend/compiler.h"
#include "ir/binary/writer.h"
#include "ir/verifier.h"

int main(int argc, char** argv) {
  if (argc != 4 || std::strcmp(argv[2], "-o") != 0) {
    std::cerr << "usage: sproutc FILE.sprout -o FILE.irm\n";
    return 2;
  }
  std::ifstream file(argv[1]);
  std::stringstream source;
  if (!file || !(source << file.rdbuf())) {
    std::cerr << "sproutc: cannot read " << argv[1] << "\n";
    return 3;
  }
  sprout::CompileResult result = sprout::compile(source.str(), argv[1]);
  if (!result.module) {
    std::cerr << argv[1] << ":" << result.error.line << ":" << result.error.column
              << ": error: " << result.error.message << "\n";
    return 1;
  }
  // A front end's own check: what passes the verifier cannot crash a node.
  for (const jvmc::ir::VerifyError& error : jvmc::ir::verifyModule(*result.module)) {
    std::cerr << argv[1] << ":" << error.loc.line << ": error: " << error.message << "\n";
    return 1;
  }
  if (jvmc::Status written = jvmc::ir::writeModule(*result.module, argv[3]); !written.ok()) {
    std::cerr << "sproutc: " << written.error().message << "\n";
    return 3;
  }
  return 0;
}
