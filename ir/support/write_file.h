// Files that tools write: whole, or not at all.
#pragma once

#include <string>
#include <string_view>

#include "ir/support/result.h"

namespace jvmc {

/// Writes the file in one step: readers see the old one or the new one, never a part, also after a power failure. (A
/// temporary file beside it is synced and renamed; it is gone after a failure. Permissions and symbolic links stay. A
/// device or pipe is written to directly.) Fails with kIo and the system's reason: no such folder, no permission, disk
/// full.
Status writeFile(const std::string& path, std::string_view bytes);

}  // namespace jvmc
