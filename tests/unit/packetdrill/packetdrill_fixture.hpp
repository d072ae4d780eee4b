// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/packetdrill_script.hpp"

namespace strictsend::testing {

inline std::string text_of(std::size_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i)
    text[i] = static_cast<char>('a' + i % 26 + i / 1000 % 3);
  return text;
}

/// -1 with this errno.
#define EXPECT_ERRNO(expected, call) \
  do {                               \
    errno = 0;                       \
    EXPECT_EQ((call), -1);           \
    EXPECT_EQ(errno, expected);      \
  } while (false)

/// Of an option that is a number.
template <class Table>
int option(Table& script, int fd, int level, int name) {
  int value = -12345;
  socklen_t bytes = sizeof value;
  EXPECT_EQ(script.table.getsockopt(script.me(), fd, level, name, &value, &bytes), 0);
  EXPECT_EQ(bytes, sizeof value);
  return value;
}

template <class Table>
int set_option(Table& script, int fd, int level, int name, int value) {
  return script.table.setsockopt(script.me(), fd, level, name, &value, sizeof value);
}

/// One adapter, and the network as its script sees it.
class Packetdrill : public ::testing::Test {
 protected:
  PacketdrillScript script;
  packetdrill_interface& table = script.table;
  void* const me = script.me();
};

}  // namespace strictsend::testing
