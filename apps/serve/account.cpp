// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/account.hpp"

#include <sys/capability.h>
#include <sys/prctl.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <memory>
#include <pwd.h>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace strictsend::serve {
namespace {

struct FreeCapabilities {
  void operator()(cap_t capabilities) const { ::cap_free(capabilities); }
};
using Capabilities = std::unique_ptr<_cap_struct, FreeCapabilities>;

/// Calls getpwnam_r or getgrnam_r with as much memory as the entry needs.
template <class Entry, class Get>
int look_up(Get get, const std::string& name, Entry& entry, std::vector<char>& memory) {
  constexpr std::size_t bytes_max = 1U << 20;
  memory.resize(4096);
  while (true) {
    Entry* found = nullptr;
    const int error = get(name.c_str(), &entry, memory.data(), memory.size(), &found);
    if (error == ERANGE && memory.size() < bytes_max) {
      memory.resize(memory.size() * 2);
      continue;
    }
    return error != 0 ? error : found == nullptr ? ENOENT : 0;
  }
}

/// What is wrong with a thread, by its status file; empty: nothing, or it has ended.
std::string complaint_about(const std::filesystem::path& task, const Account& account) {
  std::ifstream status(task / "status");
  std::string line;
  const std::string uids = fmt::format("Uid:\t{0}\t{0}\t{0}\t{0}", account.uid);
  const std::string gids = fmt::format("Gid:\t{0}\t{0}\t{0}\t{0}", account.gid);
  while (std::getline(status, line)) {
    // A worker of io_uring's has no rights of its own: it uses those of who submitted.
    if (line.starts_with("Name:\tiou-")) return {};
    const bool wrong = (line.starts_with("Uid:") && line != uids) ||
                       (line.starts_with("Gid:") && line != gids) ||
                       ((line.starts_with("CapPrm:") || line.starts_with("CapEff:") ||
                         line.starts_with("CapInh:") || line.starts_with("CapAmb:")) &&
                        line.find_first_not_of("0\t", line.find(':') + 1) != std::string::npos) ||
                       line == "NoNewPrivs:\t0";
    if (wrong) return task.filename().string() + " has " + line;
  }
  return {};
}

}  // namespace

Result<Account> find_account(const std::string& user, const std::string& group) {
  if (::geteuid() != 0)
    return fail("becoming user " + user, EPERM,
                "only root can; start it as root, or leave --user out to stay who you are");
  Account account;
  account.name = user;
  passwd entry{};
  std::vector<char> memory;
  if (const int error = look_up(::getpwnam_r, user, entry, memory); error != 0)
    return fail("looking up user " + user, error == ENOENT ? 0 : error,
                "there is no such user; make one with adduser --system --group " + user +
                    ", or name another with --user");
  account.uid = entry.pw_uid;
  account.gid = entry.pw_gid;
  if (!group.empty()) {
    struct group found {};
    if (const int error = look_up(::getgrnam_r, group, found, memory); error != 0)
      return fail("looking up group " + group, error == ENOENT ? 0 : error,
                  "there is no such group; make one with addgroup --system " + group +
                      ", or name another with --group");
    account.gid = found.gr_gid;
  }
  if (account.uid == 0)
    return fail("becoming user " + user, EINVAL,
                "that is root, with whom nothing is gained; name another, or leave --user out");
  return account;
}

Result<void> give_up_new_rights() {
  const std::string what = "giving up rights";
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(what, errno);
  for (cap_value_t capability = 0; capability < ::cap_max_bits(); ++capability) {
    if (::cap_get_bound(capability) == 1 && ::cap_drop_bound(capability) != 0)
      return fail(what, errno, "--user needs CAP_SETPCAP, CAP_SETUID and CAP_SETGID: run as root");
  }
  const Capabilities held(::cap_get_proc());
  if (!held || ::cap_clear_flag(held.get(), CAP_INHERITABLE) != 0 ||
      ::cap_set_proc(held.get()) != 0)
    return fail(what, errno);
  return {};
}

Result<void> become(const Account& account) {
  const std::string what = "becoming user " + account.name;
  constexpr const char* hint = "--user needs CAP_SETUID and CAP_SETGID: run as root";
  // The C library calls these on every thread that there is, whoever made it; and with the last
  // user id that is 0 the kernel takes each thread's capabilities away (capabilities(7)).
  if (::initgroups(account.name.c_str(), account.gid) != 0 ||
      ::setresgid(account.gid, account.gid, account.gid) != 0 ||
      ::setresuid(account.uid, account.uid, account.uid) != 0)
    return fail(what, errno, hint);
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error))
    if (const std::string complaint = complaint_about(task.path(), account); !complaint.empty())
      return fail(what, EPERM, "thread " + complaint);
  if (error) return fail(what, error.value(), "mount /proc, which shows whether it worked");
  return {};
}

Result<void> keep_rights_over_interfaces() {
  // Packets are redirected by whoever may load programs; taking one off, libxdp asks for programs
  // by their number, and loads a dispatcher anew for those that stay.
  constexpr std::array kept{CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON};
  const std::string what = "keeping the rights over interfaces";
  const Capabilities now(::cap_get_proc());
  const Capabilities wanted(::cap_init());
  if (!now || !wanted) return fail(what, errno);
  for (const cap_value_t capability : kept) {
    cap_flag_value_t has = CAP_CLEAR;
    ::cap_get_flag(now.get(), capability, CAP_PERMITTED, &has);
    if (has == CAP_CLEAR) continue;
    if (::cap_set_flag(wanted.get(), CAP_PERMITTED, 1, &capability, CAP_SET) != 0 ||
        ::cap_set_flag(wanted.get(), CAP_EFFECTIVE, 1, &capability, CAP_SET) != 0)
      return fail(what, errno);
  }
  if (::cap_set_proc(wanted.get()) != 0) return fail(what, errno);
  return {};
}

Result<void> check_directory(const std::string& path, const Account& account) {
  if (::access(path.c_str(), R_OK | X_OK) == 0) return {};
  return fail(fmt::format("serving {} as user {}", path, account.name), errno,
              fmt::format("he must be able to enter and read it: setfacl -m u:{}:rx {} (and x on "
                          "the directories above), or --user of another",
                          account.name, path));
}

}  // namespace strictsend::serve
