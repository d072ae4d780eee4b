// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "apps/http/listing.hpp"
#include "apps/http/mime.hpp"
#include "apps/http/session.hpp"
#include "apps/http/target.hpp"
#include "apps/serve/file_resolver.hpp"

namespace strictsend::http {

/// A directory under /tmp with a few files, gone with the object.
class TemporaryRoot {
 public:
  TemporaryRoot() {
    std::string pattern = "/tmp/strictsend-http-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    ::chmod(path_.c_str(), 0755);
  }
  TemporaryRoot(const TemporaryRoot&) = delete;
  TemporaryRoot& operator=(const TemporaryRoot&) = delete;
  ~TemporaryRoot() { std::filesystem::remove_all(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string at(const std::string& name) const { return path_ + "/" + name; }
  void file(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
    std::ofstream(at(name), std::ios::binary) << bytes;
  }
  void link(const std::string& name, const std::string& to) const {
    std::filesystem::create_symlink(to, at(name));
  }

 private:
  std::string path_;
};

class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] std::int64_t unix_seconds() const override { return 784'111'777; }
  void advance(std::chrono::milliseconds by) { now_ += by; }

 private:
  TimePoint now_{std::chrono::hours(1)};
};

/// A file's bytes in memory.
class MemoryRepresentation final : public Representation {
 public:
  MemoryRepresentation(std::string bytes, std::int64_t mtime_s,
                       std::string_view media_type = "application/octet-stream")
      : bytes_(std::move(bytes)), media_type_(media_type) {
    attributes_.size_bytes = bytes_.size();
    attributes_.mtime_ns = mtime_s * 1'000'000'000;
    attributes_.entity_tag = "tag" + std::to_string(bytes_.size());
  }
  [[nodiscard]] const FileAttributes& attributes() const override { return attributes_; }
  [[nodiscard]] std::string_view media_type() const override { return media_type_; }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::string_view media_type_;
  FileAttributes attributes_;
};

/// A stream between a test and a session: what the client sent, what it got, what became of the
/// connection. Responses stay queued until the test says that the client took them.
class MemoryStream final : public Stream {
 public:
  std::size_t receive(std::span<std::byte> into) override {
    const std::size_t n = std::min(into.size(), incoming.size());
    std::memcpy(into.data(), incoming.data(), n);
    incoming.erase(0, n);
    return n;
  }
  SendOutcome send(Response& response) override {
    if (next_outcome != SendOutcome::queued) {
      response.body.reset();
      return next_outcome;
    }
    statuses.push_back(response.status);
    messages.emplace_back();
    for (const Piece& piece : response.pieces) {
      messages.back() += piece.text;
      if (piece.range.length() == 0) continue;
      messages.back() += dynamic_cast<MemoryRepresentation&>(*response.body)
                             .bytes()
                             .substr(piece.range.begin, piece.range.length());
    }
    outgoing += messages.back();
    response.body.reset();
    ++unreleased;
    return SendOutcome::queued;
  }
  void close() override { closed = true; }
  void abort() override { aborted = true; }

  std::string incoming;
  std::string outgoing;
  std::vector<int> statuses;
  std::vector<std::string> messages;  ///< the parts of outgoing, one for each status
  std::size_t unreleased = 0;
  bool closed = false;
  bool aborted = false;
  SendOutcome next_outcome = SendOutcome::queued;
};

/// Resolves beneath a real directory with the server's own resolver, when the test says so.
class QueuedFiles final : public FileRequests {
 public:
  explicit QueuedFiles(const std::string& root)
      : resolver_(serve::FileResolver::create(root).value()) {}
  void request_file(const std::string& path) override { wanted.push_back(path); }

  [[nodiscard]] Resolution resolve(const std::string& path) const {
    auto found = resolver_.find(path);
    if (!found) return tl::unexpected(found.error());
    if (found->is_directory) return list(found->path);
    auto fd = resolver_.open(found->path, found->identity);
    if (!fd) return tl::unexpected(fd.error());
    std::string bytes;
    char block[4096];
    for (ssize_t n = 0; (n = ::read(fd->get(), block, sizeof(block))) > 0;)
      bytes.append(block, static_cast<std::size_t>(n));
    struct stat status {};
    ::fstat(fd->get(), &status);
    return std::make_unique<MemoryRepresentation>(std::move(bytes), status.st_mtim.tv_sec,
                                                  media_type(found->path));
  }

  std::deque<std::string> wanted;
  bool listing = false;

 private:
  [[nodiscard]] Resolution list(const std::string& path) const {
    if (!listing) return tl::unexpected(Refusal{403, "Not listed."});
    return std::make_unique<PageRepresentation>(listing_page(path, resolver_.list(path).value()));
  }
  serve::FileResolver resolver_;
};

/// Keeps what is stored in memory, and answers when the test says so.
class QueuedUploads final : public Uploads {
 public:
  void begin_upload(const std::string& path, const Conditions&) override {
    current = path;
    bytes.clear();
    wanted.push_back(UploadProgress::ready);
  }
  void write_upload(std::string more) override {
    bytes += more;
    wanted.push_back(UploadProgress::ready);
  }
  void finish_upload() override {
    const bool replaced = !stored.insert_or_assign(current, bytes).second;
    wanted.push_back(replaced ? UploadProgress::replaced : UploadProgress::created);
  }
  void abandon_upload() override {
    ++abandoned;
    wanted.clear();
  }
  /// The next answer; a refusal if the test wants one.
  [[nodiscard]] UploadOutcome take() {
    const UploadProgress progress = wanted.front();
    wanted.pop_front();
    if (refusal) return tl::unexpected(*refusal);
    return progress;
  }

  std::deque<UploadProgress> wanted;
  std::string current;
  std::string bytes;
  std::map<std::string, std::string> stored;
  int abandoned = 0;
  std::optional<Refusal> refusal;
};

/// A response as a client reads it off the stream.
struct ParsedResponse {
  int status = 0;
  std::string status_line;
  std::map<std::string, std::string> fields;
  std::string head;
  std::string body;
};

/// Takes one response off the front of `bytes`; nullopt if it is not whole.
inline std::optional<ParsedResponse> take_response(std::string& bytes, bool to_head = false) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return std::nullopt;
  ParsedResponse response;
  response.head = bytes.substr(0, end + 4);
  std::size_t at = bytes.find("\r\n");
  response.status_line = bytes.substr(0, at);
  response.status = std::stoi(response.status_line.substr(9, 3));
  while (at < end) {
    const std::size_t line_end = bytes.find("\r\n", at + 2);
    const std::string line = bytes.substr(at + 2, line_end - at - 2);
    const std::size_t colon = line.find(": ");
    response.fields[line.substr(0, colon)] = line.substr(colon + 2);
    at = line_end;
  }
  const bool bodiless =
      to_head || response.status == 100 || response.status == 204 || response.status == 304;
  const std::size_t length = bodiless ? 0 : std::stoul(response.fields.at("Content-Length"));
  if (bytes.size() < end + 4 + length) return std::nullopt;
  response.body = bytes.substr(end + 4, length);
  bytes.erase(0, end + 4 + length);
  return response;
}

/// A session with everything around it, driven by a test.
class Conversation {
 public:
  explicit Conversation(const TemporaryRoot& root, const SessionLimits& limits = {},
                        bool allow_put = false)
      : files(root.path()), session(stream, files, allow_put ? &uploads : nullptr, clock, limits) {}

  /// The client sends; files are found and responses taken until nothing moves any more.
  Conversation& say(std::string_view bytes) {
    stream.incoming += bytes;
    session.on_readable();
    settle();
    return *this;
  }
  void resolve_one() {
    const std::string path = files.wanted.front();
    files.wanted.pop_front();
    session.on_resolved(files.resolve(path));
  }
  void release_one() {
    --stream.unreleased;
    session.on_released();
  }
  void settle() {
    while (!files.wanted.empty() || !uploads.wanted.empty() || stream.unreleased > 0) {
      while (!files.wanted.empty())
        resolve_one();
      if (!uploads.wanted.empty()) session.on_upload(uploads.take());
      if (stream.unreleased > 0) release_one();
    }
  }
  void pass(std::chrono::milliseconds time) {
    clock.advance(time);
    session.on_tick();
    settle();
  }
  /// The next response that the client got; status 0 when there is none.
  ParsedResponse got(bool to_head = false) {
    return take_response(stream.outgoing, to_head).value_or(ParsedResponse{});
  }

  ManualClock clock;
  MemoryStream stream;
  QueuedFiles files;
  QueuedUploads uploads;
  Session session;
};

inline std::string get(const std::string& target, const std::string& fields = {}) {
  return "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n";
}
inline std::string head(const std::string& target) {
  return "HEAD " + target + " HTTP/1.1\r\nHost: test\r\n\r\n";
}

}  // namespace strictsend::http
