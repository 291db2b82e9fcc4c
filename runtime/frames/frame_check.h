// Do the frames of a thread fit each other? What decoded frames must satisfy before they are resumed.
#pragma once

#include "ir/support/result.h"
#include "runtime/frames/function_info.h"

namespace jvmc::rt {

/// Each frame by itself is sound (function, resume point, slot count). Checks the pairs: a guest frame that is not the
/// innermost stands after a call that the next frame's function can be the callee of, so that what it returns has the
/// type the caller expects; runtime frames stand where the runtime puts them, with slots in range; the resumption fits
/// the innermost frame. Brings the resumption's value into canonical form.
Status checkFrames(const FunctionInfos& functions, GuestThread& thread);

}  // namespace jvmc::rt
