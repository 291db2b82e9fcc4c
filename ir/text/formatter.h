// The canonical layout of a source, comments kept: what `irc fmt` does.
//
// Works on tokens, not on the module, so that nothing a person wrote is lost but spaces: names, quotes, number forms
// and line breaks inside brackets stay. What the printer writes is a fixed point.
//   - members and instructions are indented by two spaces, labels stand at the left margin
//   - one blank line between top-level items (natives may stand together), at most one elsewhere
//   - comments at the ends of neighbouring lines are aligned
#pragma once

#include <optional>
#include <string>

#include "ir/text/diagnostics.h"

namespace jvmc::ir::text {

/// The formatted text; nothing if the source has syntax errors, which are then in `sink`.
std::optional<std::string> formatSource(const SourceSet& sources, uint32_t source, DiagnosticSink& sink);

}  // namespace jvmc::ir::text
