#include "cluster/membership/lease.h"

#include <gtest/gtest.h>

namespace jvmc::cluster {
namespace {

constexpr int64_t kSecond = 1'000'000'000, kBegin = 77 * kSecond;

TEST(LeaseTest, ANodeStandsStillLongBeforeItCountsAsLost) {
  Lease lease;
  lease.renewed(kBegin);
  EXPECT_EQ(lease.at(kBegin + 5 * kSecond), Lease::State::Held);
  EXPECT_EQ(lease.at(kBegin + 5 * kSecond + 1), Lease::State::StandsStill);
  EXPECT_EQ(lease.at(kBegin + Lease::kSilenceNanos), Lease::State::StandsStill);
  // It looks every so often, and its last question may have been heard a little later than it was sent.
  EXPECT_LT(Lease::kHeldNanos + 2 * Lease::kRenewalNanos, Lease::kSilenceNanos / 2);
}

TEST(LeaseTest, AnAnswerLetsItGoOnAndSilenceWithoutEndEndsIt) {
  Lease lease;
  lease.renewed(kBegin);
  EXPECT_EQ(lease.at(kBegin + 89 * kSecond), Lease::State::StandsStill);
  EXPECT_EQ(lease.at(kBegin + 91 * kSecond), Lease::State::Over);
  lease.renewed(kBegin + 30 * kSecond);
  EXPECT_EQ(lease.at(kBegin + 31 * kSecond), Lease::State::Held);
}

TEST(LeaseTest, AnAnswerIsAsOldAsTheQuestion) {
  Lease lease;
  lease.renewed(kBegin);
  lease.renewed(kBegin + kSecond);  // answered 20 s later: by then the launcher may be about to give the node up
  EXPECT_EQ(lease.at(kBegin + 21 * kSecond), Lease::State::StandsStill);
  lease.renewed(kBegin);
  EXPECT_EQ(lease.silence(kBegin + 21 * kSecond), 20 * kSecond) << "answers come in any order";
}

}  // namespace
}  // namespace jvmc::cluster
