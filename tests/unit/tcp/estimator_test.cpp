// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "engine/transport/tcp/rtt_estimator.hpp"
#include "engine/transport/tcp/seqnum.hpp"

namespace strictsend::tcp {
namespace {

TEST(RttEstimator, rfc6298_2_1_one_second_before_any_sample) {
  EXPECT_EQ(RttEstimator(milliseconds(200), seconds(60)).rto(), seconds(1));
}

TEST(RttEstimator, rfc6298_2_2_first_sample) {
  RttEstimator rtt(milliseconds(1), seconds(60));
  rtt.sample(milliseconds(100));
  EXPECT_EQ(rtt.srtt(), milliseconds(100));
  EXPECT_EQ(rtt.rttvar(), milliseconds(50));
  EXPECT_EQ(rtt.rto(), milliseconds(300));
}

TEST(RttEstimator, rfc6298_2_3_further_samples) {
  RttEstimator rtt(milliseconds(1), seconds(60));
  rtt.sample(milliseconds(100));
  rtt.sample(milliseconds(180));
  EXPECT_EQ(rtt.srtt(), milliseconds(110));       // 7/8·100 + 1/8·180
  EXPECT_EQ(rtt.rttvar(), microseconds(57'500));  // 3/4·50 + 1/4·80
  EXPECT_EQ(rtt.rto(), milliseconds(340));
}

TEST(RttEstimator, rfc7323_appendix_g_many_samples_weigh_less_each) {
  RttEstimator one(milliseconds(1), seconds(60));
  RttEstimator four(milliseconds(1), seconds(60));
  one.sample(milliseconds(100));
  four.sample(milliseconds(100));
  one.sample(milliseconds(180));
  four.sample(milliseconds(180), 4);
  EXPECT_EQ(four.srtt(), microseconds(102'500));
  EXPECT_LT(four.rttvar(), one.rttvar());
}

TEST(RttEstimator, rfc6298_2_4_and_2_5_bounds) {
  RttEstimator rtt(milliseconds(200), seconds(2));
  rtt.sample(microseconds(50));
  EXPECT_EQ(rtt.rto(), microseconds(200'050)) << "the minimum is on top of SRTT";
  rtt.sample(seconds(100));
  EXPECT_EQ(rtt.rto(), seconds(2));
}

TEST(RttEstimator, rfc6298_5_5_back_off_lasts_until_the_next_sample) {
  RttEstimator rtt(milliseconds(200), seconds(60));
  rtt.sample(milliseconds(1));
  rtt.back_off();
  rtt.back_off();
  EXPECT_EQ(rtt.rto(), milliseconds(804));
  for (int i = 0; i < 1000; ++i)
    rtt.back_off();
  EXPECT_EQ(rtt.rto(), seconds(60));
  rtt.sample(milliseconds(1));
  EXPECT_EQ(rtt.rto(), milliseconds(201));
}

TEST(Seq, rfc9293_3_4_order_across_the_wrap) {
  const Seq before(0xffff'fff0);
  const Seq after = before + 0x20;
  EXPECT_TRUE(before.before(after));
  EXPECT_FALSE(after.before(before));
  EXPECT_EQ(after.since(before), 0x20U);
  EXPECT_TRUE(after.in_window(before, 0x21));
  EXPECT_FALSE(after.in_window(before, 0x20));
}

}  // namespace
}  // namespace strictsend::tcp
