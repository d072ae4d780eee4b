// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <utility>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "base/unique_fd.hpp"
#include "tests/bench/cpu_time.hpp"
#include "tests/bench/nginx_config.hpp"
#include "tests/bench/sender.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

bool answers(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(Sender::port);
  if (::inet_pton(AF_INET, address.c_str(), &to.sin_addr) != 1) return false;
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
}

/// A shared mapping of a whole file. Every page has been written through it, so that neither the
/// kernel nor a hypervisor that shadows page tables takes a fault when the measurement writes.
class SharedMapping {
 public:
  static Result<SharedMapping> create(const std::string& path, std::uint64_t bytes) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd.valid()) return fail("opening " + path, errno);
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return fail("mapping " + path, errno);
    SharedMapping mapping({static_cast<std::byte*>(at), bytes});
    for (std::uint64_t page = 0; page < bytes; page += page_bytes) {
      volatile std::byte& byte = mapping.bytes()[page];
      byte = byte;
    }
    return mapping;
  }
  SharedMapping(SharedMapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  SharedMapping& operator=(SharedMapping&&) = delete;
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  ~SharedMapping() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit SharedMapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

class NginxSender final : public Sender {
 public:
  NginxSender(std::unique_ptr<test::TempDir> directory, SharedMapping mapping,
              test::ChildProcess master)
      : directory_(std::move(directory)),
        mapping_(std::move(mapping)),
        master_(std::move(master)),
        processes_(children_of(master_.pid())) {
    processes_.push_back(master_.pid());
  }
  NginxSender(const NginxSender&) = delete;
  NginxSender& operator=(const NginxSender&) = delete;
  ~NginxSender() override {
    master_.signal(SIGTERM);  // at once, with its worker
    master_.wait(seconds(10));
  }

  [[nodiscard]] std::span<std::byte> mapping() const override { return mapping_.bytes(); }
  [[nodiscard]] const std::vector<pid_t>& processes() const override { return processes_; }
  [[nodiscard]] Counters counters() const override { return {}; }
  [[nodiscard]] std::string description() const override { return {}; }

 private:
  std::unique_ptr<test::TempDir> directory_;
  SharedMapping mapping_;
  test::ChildProcess master_;
  std::vector<pid_t> processes_;
};

}  // namespace

Result<std::unique_ptr<Sender>> start_nginx(const Sender::Config& config, bool sendfile) {
  auto mapping =
      SharedMapping::create(config.directory + "/" + Sender::file_name, config.file_bytes);
  if (!mapping) return tl::unexpected(std::move(mapping.error()));
  auto directory = std::make_unique<test::TempDir>();
  const std::string config_path = directory->path("nginx.conf");
  std::ofstream(config_path) << nginx_config({.work_directory = directory->path(),
                                              .sendfile = sendfile,
                                              .address = config.address,
                                              .port = Sender::port,
                                              .root = config.directory});
  auto master = test::ChildProcess::spawn({"nginx", "-p", directory->path(), "-c", config_path});
  if (!master) return tl::unexpected(std::move(master.error()));
  const Time deadline = monotonic_now() + seconds(10);
  while (!answers(config.address)) {
    const auto ended = master->wait(milliseconds(10));
    if (ended) return fail("nginx", 0, "it ended at once: " + ended->output);
    if (monotonic_now() >= deadline)
      return fail("nginx", ETIMEDOUT, "it does not answer on " + config.address);
  }
  return std::make_unique<NginxSender>(std::move(directory), std::move(*mapping),
                                       std::move(*master));
}

}  // namespace strictsend::bench
