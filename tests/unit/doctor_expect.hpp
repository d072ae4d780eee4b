// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "apps/doctor/finding.hpp"

namespace strictsend::doctor {

/// What a check should have come to; `found` and `fix` are parts of its texts.
inline void expect(const Finding& finding, Verdict verdict, const std::string& found,
                   const std::string& fix, bool stops = false) {
  EXPECT_EQ(finding.verdict, verdict) << finding.name << ": " << finding.found;
  EXPECT_NE(finding.found.find(found), std::string::npos) << finding.found;
  EXPECT_NE(finding.fix.find(fix), std::string::npos) << finding.fix;
  EXPECT_EQ(finding.fix.empty(), fix.empty()) << finding.fix;
  EXPECT_EQ(finding.stops_serve, stops) << finding.name;
  EXPECT_EQ(finding.why.empty(), verdict == Verdict::ok) << finding.why;
}

}  // namespace strictsend::doctor
