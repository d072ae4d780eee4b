// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/program.hpp"

#include <arpa/inet.h>
#include <linux/if_link.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include <xdp/libxdp.h>

#include "redirect.skel.h"

namespace strictsend::nic::af_xdp {
namespace {

constexpr char program_name[] = "strictsend_xdp";

/// struct flow_key of redirect.bpf.c.
struct FlowKey {
  std::uint8_t address[16];
  std::uint16_t tcp_port_network_order;
  std::uint16_t vlan_id;
  std::uint32_t is_ipv6;
};
static_assert(sizeof(FlowKey) == 24);

/// libxdp and libbpf print to standard error what belongs into our errors. While this lives, the
/// last warning is kept instead. Their print functions are global; ports are opened by one thread.
class CapturedWarnings {
 public:
  CapturedWarnings()
      : libxdp_before_(libxdp_set_print(&from_libxdp)),
        libbpf_before_(libbpf_set_print(&from_bpf)) {
    last().clear();
  }
  ~CapturedWarnings() {
    libxdp_set_print(libxdp_before_);
    libbpf_set_print(libbpf_before_);
  }
  CapturedWarnings(const CapturedWarnings&) = delete;
  CapturedWarnings& operator=(const CapturedWarnings&) = delete;

  [[nodiscard]] static std::string text() { return last(); }

 private:
  static std::string& last() {
    thread_local std::string message;
    return message;
  }
  static int keep(const char* format, va_list arguments) {
    char line[512];
    const int length = std::vsnprintf(line, sizeof line, format, arguments);
    last() = line;
    while (!last().empty() && last().back() == '\n')
      last().pop_back();
    return length;
  }
  __attribute__((format(printf, 2, 0))) static int from_libxdp(enum libxdp_print_level level,
                                                               const char* format, va_list list) {
    return level == LIBXDP_WARN ? keep(format, list) : 0;
  }
  __attribute__((format(printf, 2, 0))) static int from_bpf(enum libbpf_print_level level,
                                                            const char* format, va_list list) {
    return level == LIBBPF_WARN ? keep(format, list) : 0;
  }

  libxdp_print_fn_t libxdp_before_;
  libbpf_print_fn_t libbpf_before_;
};

struct CloseProgram {
  void operator()(xdp_program* program) const { xdp_program__close(program); }
};
using OwnedProgram = std::unique_ptr<xdp_program, CloseProgram>;
struct CloseMultiprog {
  void operator()(xdp_multiprog* programs) const { xdp_multiprog__close(programs); }
};
using AttachedPrograms = std::unique_ptr<xdp_multiprog, CloseMultiprog>;
struct CloseSkeleton {
  void operator()(redirect_bpf* skeleton) const { redirect_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<redirect_bpf, CloseSkeleton>;

AttachedPrograms programs_of(std::uint32_t interface_index) {
  xdp_multiprog* programs = xdp_multiprog__get_from_ifindex(static_cast<int>(interface_index));
  return AttachedPrograms(libxdp_get_error(programs) == 0 ? programs : nullptr);
}

bool is_ours(const xdp_program* program) {
  return program != nullptr && std::strcmp(xdp_program__name(program), program_name) == 0;
}

/// A program of ours on the interface, or nothing. The result lives as long as `programs`.
xdp_program* find_ours(const xdp_multiprog* programs) {
  if (xdp_multiprog__is_legacy(programs)) {
    xdp_program* only = xdp_multiprog__main_prog(programs);
    return is_ours(only) ? only : nullptr;
  }
  xdp_program* program = nullptr;
  while ((program = xdp_multiprog__next_prog(program, programs)) != nullptr)
    if (is_ours(program)) return program;
  return nullptr;
}

Result<bool> detach_ours(const std::string& interface_name, std::uint32_t interface_index) {
  bool removed = false;
  while (true) {
    const AttachedPrograms programs = programs_of(interface_index);
    xdp_program* stale = programs ? find_ours(programs.get()) : nullptr;
    if (stale == nullptr) return removed;
    const int error = xdp_program__detach(stale, static_cast<int>(interface_index),
                                          xdp_multiprog__attach_mode(programs.get()), 0);
    if (error != 0)
      return fail("removing the XDP program that an ended process left on " + interface_name,
                  -error, "ip link set dev " + interface_name + " xdp off removes it by hand");
    removed = true;
  }
}

std::string attach_hint(int error, const std::string& interface_name, std::uint32_t index,
                        const std::string& warning) {
  // Taking it off again, libxdp asks for a program by its number, which is CAP_SYS_ADMIN's.
  if (error == EPERM || error == EACCES)
    return "it needs CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON, and to be taken off at the end "
           "CAP_SYS_ADMIN: run as root";
  if (error == EBUSY || error == EEXIST)
    if (const AttachedPrograms others = programs_of(index)) {
      const xdp_program* main = xdp_multiprog__main_prog(others.get());
      return "the XDP program " +
             std::string(main != nullptr ? xdp_program__name(main) : "of somebody else") +
             " is attached and leaves no room beside it: detach it with ip link set dev " +
             interface_name +
             " xdp off, or load both through libxdp with bpffs mounted on "
             "/sys/fs/bpf";
    }
  return warning;
}

}  // namespace

std::optional<AttachedProgram> attached_program(std::uint32_t interface_index) {
  const CapturedWarnings quiet;
  bpf_xdp_query_opts query{};
  query.sz = sizeof query;
  // Everybody may ask this, while names want a descriptor of the program.
  if (bpf_xdp_query(static_cast<int>(interface_index), 0, &query) != 0 ||
      query.attach_mode == XDP_ATTACHED_NONE)
    return std::nullopt;
  AttachedProgram attached;
  attached.generic = query.attach_mode == XDP_ATTACHED_SKB;
  const AttachedPrograms programs = programs_of(interface_index);
  if (!programs) return attached;
  attached.ours = find_ours(programs.get()) != nullptr;
  attached.leaves_room = !xdp_multiprog__is_legacy(programs.get());
  const xdp_program* shown = attached.leaves_room
                                 ? xdp_multiprog__next_prog(nullptr, programs.get())
                                 : xdp_multiprog__main_prog(programs.get());
  if (shown != nullptr) attached.name = xdp_program__name(shown);
  return attached;
}

struct XdpProgram::State {
  std::uint32_t interface_index = 0;
  Skeleton skeleton;  ///< owns the object and its maps; closed after `program`
  OwnedProgram program;
  xdp_attach_mode mode = XDP_MODE_UNSPEC;  ///< UNSPEC: not attached
  bool shared = false;
  bool replaced_stale = false;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (mode == XDP_MODE_UNSPEC) return;
    const CapturedWarnings quiet;
    xdp_program__detach(program.get(), static_cast<int>(interface_index), mode, 0);
  }

  /// Each try takes a fresh object: libxdp loads it as a plain program or as the dispatcher's
  /// extension, and a loaded one cannot be loaded again. Returns a positive errno.
  int try_attach(xdp_attach_mode wanted) {
    program.reset();
    skeleton.reset(redirect_bpf__open());
    if (!skeleton) return errno;
    xdp_program* made = xdp_program__from_bpf_obj(skeleton->obj, "xdp");
    if (const long error = libxdp_get_error(made); error != 0) return static_cast<int>(-error);
    program.reset(made);
    const int error =
        xdp_program__attach(program.get(), static_cast<int>(interface_index), wanted, 0);
    if (error != 0) return -error;
    mode = wanted;
    return 0;
  }
};

Result<XdpProgram> XdpProgram::attach(const std::string& interface_name,
                                      std::uint32_t interface_index, XdpHook hook) {
  const CapturedWarnings warnings;
  auto state = std::make_unique<State>();
  state->interface_index = interface_index;
  const Result<bool> removed = detach_ours(interface_name, interface_index);
  if (!removed) return tl::unexpected(removed.error());
  state->replaced_stale = *removed;

  int error = 0;
  std::string warning;
  if (hook != XdpHook::generic) {
    error = state->try_attach(XDP_MODE_NATIVE);
    warning = CapturedWarnings::text();
  }
  // Another program, or missing rights, will not be mended by the other hook.
  const bool hopeless = error == EBUSY || error == EEXIST || error == EPERM || error == EACCES;
  if (hook == XdpHook::generic || (hook == XdpHook::automatic && error != 0 && !hopeless)) {
    error = state->try_attach(XDP_MODE_SKB);
    warning = CapturedWarnings::text();
  }
  if (error != 0)
    return fail("attaching the XDP program to " + interface_name, error,
                attach_hint(error, interface_name, interface_index, warning));

  if (const AttachedPrograms programs = programs_of(interface_index))
    state->shared = !xdp_multiprog__is_legacy(programs.get());
  return XdpProgram(std::move(state));
}

Result<bool> XdpProgram::remove_stale(const std::string& interface_name,
                                      std::uint32_t interface_index) {
  const CapturedWarnings quiet;
  return detach_ours(interface_name, interface_index);
}

XdpProgram::XdpProgram(std::unique_ptr<State> state) : state_(std::move(state)) {}
XdpProgram::XdpProgram(XdpProgram&&) noexcept = default;
XdpProgram& XdpProgram::operator=(XdpProgram&&) noexcept = default;
XdpProgram::~XdpProgram() = default;

bool XdpProgram::is_native() const {
  return state_->mode == XDP_MODE_NATIVE;
}
bool XdpProgram::is_shared() const {
  return state_->shared;
}
bool XdpProgram::replaced_stale() const {
  return state_->replaced_stale;
}

Result<void> XdpProgram::set_socket(std::uint32_t queue, int socket_fd) {
  if (bpf_map__update_elem(state_->skeleton->maps.sockets, &queue, sizeof queue, &socket_fd,
                           sizeof socket_fd, BPF_ANY) != 0)
    return fail("giving receive queue " + std::to_string(queue) + " to the AF_XDP socket", errno);
  return {};
}

Result<void> XdpProgram::add_flow(const FlowFilter& filter) {
  FlowKey key{};
  const std::span<const std::uint8_t> address = filter.address.bytes();
  std::memcpy(key.address, address.data(), address.size());
  key.is_ipv6 = filter.address.is_v6() ? 1 : 0;
  key.vlan_id = filter.vlan_id.value_or(0);
  key.tcp_port_network_order = htons(filter.tcp_port);
  const std::uint8_t present = 1;
  if (bpf_map__update_elem(state_->skeleton->maps.flows, &key, sizeof key, &present, sizeof present,
                           BPF_ANY) != 0)
    return fail("steering TCP port " + std::to_string(filter.tcp_port), errno,
                errno == E2BIG ? "an interface serves at most 64 addresses and ports" : "");
  return {};
}

}  // namespace strictsend::nic::af_xdp
