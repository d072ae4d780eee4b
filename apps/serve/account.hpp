// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>

#include <strictsend/result.hpp>

namespace strictsend::serve {

/// The user whom `serve` becomes once everything is set up, with his groups.
struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// `user` by name; `group` instead of his own, if it is not empty. Fails if there is no such one,
/// if it is root, or if this process has not the rights to become anybody.
[[nodiscard]] Result<Account> find_account(const std::string& user, const std::string& group);

/// Takes from the process what it could get new rights by: those a program would bring that it
/// executes (no_new_privs, the bounding set). What it has it keeps. To be called before any thread
/// is made: they inherit it.
[[nodiscard]] Result<void> give_up_new_rights();

/// Becomes `account` on every thread, with no capability left on any of them, and makes sure of it.
/// What is open stays open. There is no way back.
[[nodiscard]] Result<void> become(const Account& account);

/// Keeps of this thread's capabilities those that taking an XDP program off an interface needs, for
/// a process of one thread that remains root.
[[nodiscard]] Result<void> keep_rights_over_interfaces();

/// Whether `account`, which this process has become, may enter and read the directory.
[[nodiscard]] Result<void> check_directory(const std::string& path, const Account& account);

}  // namespace strictsend::serve
