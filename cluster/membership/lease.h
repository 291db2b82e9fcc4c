// What a node that is cut off may do, as a pure function of the time since the launcher's last word. A machine that is
// gone closes no connection, so both sides judge by silence, and the node is the first to act: it stands still long
// before the launcher counts it as lost and others may be told so.
//
//     0 ---------- 5 s ------------------- 30 s ---------------------------- 90 s
//       goes on        stands still            the launcher counts it as lost    it ends by itself
//
// The launcher's patience is more than two rounds of TCP's: a packet that is sent again and again has been sent 12.6 s
// after the first time, and, where kernels cannot be told otherwise, 25.4 s.
#pragma once

#include <algorithm>
#include <cstdint>

namespace jvmc::cluster {

/// At the node. Times are nanoseconds of any monotonic clock.
class Lease {
 public:
  static constexpr int64_t kRenewalNanos = 500'000'000;  ///< between two requests to renew it
  static constexpr int64_t kHeldNanos = 5'000'000'000;
  static constexpr int64_t kSilenceNanos = 30'000'000'000;  ///< at the launcher: a node that has not asked is lost
  static constexpr int64_t kOrphanNanos = 90'000'000'000;

  enum class State : uint8_t { Held, StandsStill, Over };

  /// The launcher has answered what it was asked then: it knew at least that much later that the node was there.
  void renewed(int64_t askedNanos) { lastWord_ = std::max(lastWord_, askedNanos); }
  int64_t silence(int64_t nowNanos) const { return nowNanos - lastWord_; }
  State at(int64_t nowNanos) const {
    const int64_t silent = silence(nowNanos);
    if (silent > kOrphanNanos) return State::Over;
    return silent > kHeldNanos ? State::StandsStill : State::Held;
  }

 private:
  int64_t lastWord_ = 0;
};

}  // namespace jvmc::cluster
