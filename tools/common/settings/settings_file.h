// A settings file: TOML, one table for each command and keys above all tables for whatever command has such a flag.
//
//     color = "never"          every command
//     [run]
//     nodes = 3                run --nodes 3
//     zeal = ["gc:7", "io:9"]  run --zeal gc:7,io:9
//
// Here it is text with places; what commands and keys there are, and what values they take, settings.h knows.
#pragma once

#include <string>
#include <vector>

#include "ir/text/diagnostics.h"

namespace jvmc::tools {

struct FileSetting {
  std::string command;  ///< of its table; empty: above all tables
  std::string key;
  std::string value;  ///< as it would be written on the command line
  ir::text::Span commandSpan, keySpan, valueSpan;
};

/// Reads `path` into `sources`. What is wrong with its form goes to `sink`, and what could be read is given all the
/// same.
std::vector<FileSetting> readSettingsFile(const std::string& path, ir::text::SourceSet& sources,
                                          ir::text::DiagnosticSink& sink);

}  // namespace jvmc::tools
