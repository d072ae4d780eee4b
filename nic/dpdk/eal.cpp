// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/eal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <string_view>

#include <spdlog/spdlog.h>

namespace strictsend::nic::dpdk {
namespace {

/// What EAL writes: passed on to our log, and its complaints kept for an error's text.
class EalLog {
 public:
  static EalLog& instance() {
    static auto* const log = new EalLog;  // DPDK's threads may write until the process ends
    return *log;
  }

  [[nodiscard]] FILE* stream() const { return stream_; }

  std::string take_complaints() {
    const std::lock_guard lock(mutex_);
    return std::exchange(complaints_, {});
  }

 private:
  static constexpr std::size_t complaint_bytes_max = 600;

  EalLog() {
    cookie_io_functions_t functions{};
    functions.write = [](void* self, const char* text, std::size_t bytes) {
      static_cast<EalLog*>(self)->write({text, bytes});
      return static_cast<ssize_t>(bytes);
    };
    stream_ = ::fopencookie(this, "w", functions);
    if (stream_ != nullptr) std::setvbuf(stream_, nullptr, _IOLBF, BUFSIZ);
  }

  void write(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
      text.remove_suffix(1);
    if (text.empty()) return;
    const int level = rte_log_cur_msg_loglevel();
    if (level > 0 && level <= static_cast<int>(RTE_LOG_ERR)) {
      const std::lock_guard lock(mutex_);
      if (complaints_.size() < complaint_bytes_max) {
        if (!complaints_.empty()) complaints_ += "; ";
        complaints_ += text.substr(0, complaint_bytes_max);
        std::replace(complaints_.begin(), complaints_.end(), '\n', ' ');
      }
    }
    // At set-up DPDK complains of things that are none, such as missing huge page mounts; the
    // error of a call that failed repeats what mattered.
    spdlog::log(level <= static_cast<int>(RTE_LOG_ERR) ? spdlog::level::info : spdlog::level::debug,
                "DPDK: {}", text);
  }

  FILE* stream_ = nullptr;
  std::mutex mutex_;
  std::string complaints_;
};

bool names_any(const std::vector<std::string>& arguments,
               std::initializer_list<std::string_view> options) {
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    return std::any_of(options.begin(), options.end(), [&](std::string_view option) {
      const bool is_short = option.size() == 2;
      return argument == option ||
             (argument.starts_with(option) && (is_short || argument[option.size()] == '='));
    });
  });
}

/// One lcore that floats over every processor that the caller may use: EAL would pin the calling
/// thread, and all threads that it makes later.
std::string floating_lcore() {
  cpu_set_t set;
  std::string list;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) list += (list.empty() ? "" : ",") + std::to_string(cpu);
  }
  return list.empty() ? "0" : "0@(" + list + ")";
}

}  // namespace

std::string eal_hint(const std::string& complaints) {
  const auto said = [&](const char* text) { return complaints.find(text) != std::string::npos; };
  if (said("physical addresses are not available"))
    return "this user may not see physical addresses, and with an IOMMU none are needed: pass "
           "--iova-mode=va after --";
  if (said("runtime directory") || said("Error creating '"))
    return "DPDK keeps its files under $XDG_RUNTIME_DIR/dpdk, or /tmp/dpdk (root: /var/run/dpdk): "
           "make that a directory which this user can write to";
  if (said("lock on") || said("another primary"))
    return "another DPDK process has these files: leave --file-prefix out, or give another one";
  if (said("/hugepages") && said("ermission"))
    return "the huge pages are not open to this user: mount some for it (mount -t hugetlbfs -o "
           "uid=USER,mode=0700 none DIRECTORY, then --huge-dir DIRECTORY after --), or pass "
           "--no-huge after --";
  if (said("hugepage") || said("huge page") || said("memory"))
    return "reserve huge pages (sysctl vm.nr_hugepages=256), or pass --no-huge after --";
  if (said("ermission") || said("root"))
    return "run as root, or give the process the rights that DPDK needs";
  if (said("invalid parameter") || said("Unable to parse") || said("nrecognized"))
    return "see the EAL options in DPDK's manual; they stand after -- on the command line";
  if (said("vdev") || said("bus")) return "the device could not be made; the text before says why";
  return "see the EAL options in DPDK's manual; --log-level debug shows all that it says";
}

std::string take_eal_complaints() {
  return EalLog::instance().take_complaints();
}

namespace {

std::mutex started_mutex;
/// EAL's arguments, once it runs; by started_mutex.
std::optional<std::vector<std::string>> started_with;

}  // namespace

std::string vdev_specification(const std::string& name) {
  const std::lock_guard lock(started_mutex);
  constexpr std::string_view option = "--vdev";
  const std::vector<std::string> none;
  const std::vector<std::string>& arguments = started_with ? *started_with : none;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string_view value = arguments[i];
    if (!value.starts_with(option)) continue;
    value.remove_prefix(option.size());
    if (value.empty() && i + 1 < arguments.size())
      value = arguments[i + 1];
    else if (value.starts_with('='))
      value.remove_prefix(1);
    if (value.substr(0, value.find(',')) == name) return std::string(value);
  }
  return name;
}

Result<void> start_eal(const std::vector<std::string>& arguments) {
  static bool failed = false;
  const std::lock_guard lock(started_mutex);
  if (started_with) {
    if (arguments.empty() || arguments == *started_with) return {};
    return fail("starting DPDK", EALREADY,
                "it runs in this process already, with other arguments; it starts only once");
  }
  if (failed) {
    return fail("starting DPDK", EALREADY,
                "it failed before in this process, and can be tried only once");
  }

  std::vector<std::string> words{"strictsend"};
  if (!names_any(arguments, {"-l", "-c", "--lcores", "-s", "-S"}))
    words.push_back("--lcores=" + floating_lcore());
  // Neither huge pages in files nor a configuration that others could lock. EAL does not take both.
  if (!names_any(arguments, {"--in-memory", "--no-shconf", "--file-prefix", "--proc-type",
                             "--huge-unlink", "--huge-dir"}))
    words.emplace_back(names_any(arguments, {"--no-huge"}) ? "--no-shconf" : "--in-memory");
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);

  if (FILE* stream = EalLog::instance().stream(); stream != nullptr) rte_openlog_stream(stream);
  cpu_set_t before;
  const bool known = ::sched_getaffinity(0, sizeof before, &before) == 0;
  const int parsed = rte_eal_init(static_cast<int>(words.size()), argv.data());
  const int error = rte_errno;
  if (known) ::sched_setaffinity(0, sizeof before, &before);
  const std::string complaints = take_eal_complaints();
  if (parsed < 0) {
    failed = true;
    return fail("starting DPDK", error,
                (complaints.empty() ? "" : complaints + ": ") + eal_hint(complaints));
  }
  if (parsed + 1 < static_cast<int>(words.size())) {
    spdlog::warn("DPDK did not take the argument \"{}\" and what follows",
                 words[static_cast<std::size_t>(parsed) + 1]);
  }
  started_with = arguments;
  return {};
}

}  // namespace strictsend::nic::dpdk
