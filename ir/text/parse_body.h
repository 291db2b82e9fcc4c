// Grammar of a function body; see parse_items.cpp for the rest of the language.
#pragma once

#include "ir/text/ast.h"
#include "ir/text/token_reader.h"

namespace jvmc::ir::text {

/// From behind the '{' to behind the '}'. Statements that cannot be parsed are reported and left out, and `function` is
/// then marked broken. False if the '}' is missing.
bool parseBody(TokenReader& in, ast::Function& function, const std::optional<std::string>& currentFile);

/// The next token starts a top-level item (so that a missing '}' is found where the next item begins).
bool isItemStart(const TokenReader& in);

}  // namespace jvmc::ir::text
