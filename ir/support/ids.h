// Strong integer ids. An id of one kind does not convert to another; `index()` is the position in the owning table.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>

namespace jvmc {

template <class Tag, class Rep = uint32_t>
struct Id {
  static constexpr Rep kNone = std::numeric_limits<Rep>::max();

  Rep value = kNone;

  constexpr Id() = default;
  constexpr explicit Id(Rep v) : value(v) {}
  constexpr Rep index() const { return value; }
  constexpr bool valid() const { return value != kNone; }
  constexpr explicit operator bool() const { return valid(); }
  friend constexpr auto operator<=>(Id, Id) = default;
};

namespace ir {
using TypeId = Id<struct TypeTag>;              ///< in Module::types
using ClassId = Id<struct ClassTag>;            ///< in Module::classes
using FunctionId = Id<struct FunctionTag>;      ///< in Module::functions
using NativeId = Id<struct NativeTag>;          ///< in Module::natives
using BlockId = Id<struct BlockTag>;            ///< in FunctionBody::blocks
using ValueId = Id<struct ValueTag>;            ///< in FunctionBody::values
using FrameStateId = Id<struct FrameStateTag>;  ///< in FunctionBody::frameStates
}  // namespace ir

}  // namespace jvmc

template <class Tag, class Rep>
struct std::hash<jvmc::Id<Tag, Rep>> {
  size_t operator()(jvmc::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value); }
};
