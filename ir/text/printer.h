// Module to text, in the canonical layout that `irc fmt` also gives. Lossless: parsing the text gives the same
// declarations, bodies, value numbering, debug locations and function hashes, and printing that again gives the same
// text. Value and block names are kept where they are unique and can be written; others are numbered.
#pragma once

#include <string>

#include "ir/module.h"

namespace jvmc::ir::text {

struct PrintOptions {
  /// `file` lines and `!LINE:COL`. Without them the text is easier to read, and no longer says where it came from.
  bool locations = true;
};

/// The whole module. Fails if a body cannot be loaded.
Result<std::string> printModule(const Module& module, const PrintOptions& options = {});
/// One function with its `file` line; `body` may be optimised (then flags and frame states are shown). Beside the text
/// of the module this can be parsed again.
std::string printFunction(const Module& module, FunctionId function, const FunctionBody& body,
                          const PrintOptions& options = {});

/// "array(ref(Circle))".
std::string typeText(const Module& module, TypeId type);
std::string typeText(const Module& module, const Type& type);
/// "Circle.area", quoted if it must be.
std::string memberText(const Module& module, const SymbolRef& symbol, Symbol kind);

}  // namespace jvmc::ir::text
