// References that a node's runtime has hold of and that lie in no object, frame or table that anyone looks through: in
// what it has sent and has no answer to, and may have to send again. Roots, of the local collector and of cluster-wide
// ones.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/object_space.h"

namespace jvmc::cluster {

/// Thread-safe.
class HeldReferences {
 public:
  using Hold = std::shared_ptr<const void>;

  /// They are held until the last copy of the result is gone, which must be before this object. Null references are
  /// left out; if no other is left, nothing is held, and the result is null.
  Hold hold(std::vector<rt::ObjectRef> references) {
    std::erase(references, rt::kNullRef);
    if (references.empty()) return nullptr;
    std::lock_guard lock(mutex_);
    const uint64_t number = next_++;
    held_.emplace(number, std::move(references));
    return Hold(this, [this, number](const void*) {
      std::lock_guard inner(mutex_);
      held_.erase(number);
    });
  }

  void visit(const std::function<void(rt::ObjectRef)>& visit) const {
    std::lock_guard lock(mutex_);
    for (const auto& [number, references] : held_)
      for (rt::ObjectRef reference : references) visit(reference);
  }

 private:
  mutable std::mutex mutex_;
  uint64_t next_ = 0;
  std::unordered_map<uint64_t, std::vector<rt::ObjectRef>> held_;
};

}  // namespace jvmc::cluster
