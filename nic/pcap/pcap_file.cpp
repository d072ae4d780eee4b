// SPDX-License-Identifier: Apache-2.0
#include "nic/pcap/pcap_file.hpp"

#include <cerrno>
#include <cstdio>

#include <pcap/pcap.h>

namespace strictsend::nic {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;

}  // namespace

void PcapFile::ClosePcap::operator()(pcap* handle) const {
  pcap_close(handle);
}

void PcapFile::CloseDumper::operator()(pcap_dumper* dumper) const {
  pcap_dump_close(dumper);
}

Result<PcapFile> PcapFile::create(const std::string& path, std::size_t packet_bytes_max) {
  PcapFile file;
  file.handle_.reset(pcap_open_dead_with_tstamp_precision(
      DLT_EN10MB, static_cast<int>(packet_bytes_max), PCAP_TSTAMP_PRECISION_NANO));
  if (!file.handle_) return fail("open a capture", ENOMEM);

  std::FILE* stream = std::fopen(path.c_str(), "wbe");
  if (stream == nullptr) {
    const int error = errno;
    return fail("create capture file " + path, error,
                "the directory must exist and be writable for this user");
  }
  // Own memory and much of it: recording shall neither allocate nor often call the kernel.
  file.buffer_.reset(new char[buffer_bytes]);
  std::setvbuf(stream, file.buffer_.get(), _IOFBF, buffer_bytes);
  file.dumper_.reset(pcap_dump_fopen(file.handle_.get(), stream));
  if (!file.dumper_) {
    // libpcap has closed the stream.
    return fail("write to capture file " + path, 0, pcap_geterr(file.handle_.get()));
  }
  errno = 0;
  if (pcap_dump_flush(file.dumper_.get()) != 0) {
    const int error = errno;
    return fail("write to capture file " + path, error,
                "choose a place with free space, or remove old captures");
  }
  return file;
}

void PcapFile::record(Time at, std::span<const std::byte> packet) {
  if (broken_) {
    ++lost_;
    return;
  }
  pcap_pkthdr header{};
  header.ts.tv_sec = at.ns / 1'000'000'000;
  header.ts.tv_usec = at.ns % 1'000'000'000;  // nanoseconds, by the precision of the handle
  header.caplen = static_cast<bpf_u_int32>(packet.size());
  header.len = header.caplen;
  // libpcap's own signature: the dumper travels as bytes.
  pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), &header,
            reinterpret_cast<const u_char*>(packet.data()));
  ++recorded_;
  fail_if_broken();
}

void PcapFile::flush() {
  if (broken_) return;
  static_cast<void>(pcap_dump_flush(dumper_.get()));
  fail_if_broken();
}

void PcapFile::fail_if_broken() {
  // pcap_dump reports nothing; the stream remembers.
  if (std::ferror(pcap_dump_file(dumper_.get())) == 0) return;
  broken_ = true;
  // How much of the buffer the failed write took is not known: at least the last packet is not
  // whole.
  --recorded_;
  ++lost_;
}

}  // namespace strictsend::nic
