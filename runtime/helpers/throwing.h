// Making and throwing guest exceptions from C++.
#pragma once

#include <string>
#include <string_view>

#include "runtime/abi/helpers.h"
#include "runtime/abi/layout.h"

namespace jvmc::rt {

/// Creates an exception of builtin class `cls` and makes it pending. May collect; runs out of memory into the
/// OutOfMemoryError made beforehand.
void throwException(ThreadContext& ctx, ir::ClassId cls, std::string_view message, ObjectRef cause = kNullRef);

/// The builtin class that stands for `kind`.
ir::ClassId classOf(BuiltinThrow kind);

/// The name of what an object with this class index is: "Circle", "array(i32)".
std::string className(const ModuleLayout& layout, ClassIndex index);

/// What is printed for an exception that no handler took, without a last newline. Reads guest memory.
std::string describeUncaught(ThreadContext& ctx, ObjectRef exception);

/// Puts the trace gathered so far into the exception object and forgets it.
void storeTrace(ThreadContext& ctx, ObjectRef exception);

}  // namespace jvmc::rt
