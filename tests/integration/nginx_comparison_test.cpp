// SPDX-License-Identifier: Apache-2.0
// The same requests to `strictsend serve` and to nginx, which serve the same directory: where the
// answers differ, that is on purpose, and docs/http.md says why.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/http_requests.hpp"
#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint16_t nginx_port = 8081;
constexpr time_t file_time = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT

/// What of an answer is compared, as text that a failure can print.
struct Answers {
  std::vector<std::string> list;
  bool operator==(const Answers&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Answers& answers) {
  for (const std::string& answer : answers.list)
    out << "\n  " << answer;
  return out;
}

using Fields = std::map<std::string, std::string>;

Fields fields_of(const std::string& head) {
  Fields fields;
  for (std::size_t at = head.find("\r\n"); at + 2 < head.size();) {
    const std::size_t end = head.find("\r\n", at + 2);
    const std::string line = head.substr(at + 2, end - at - 2);
    std::string name = line.substr(0, line.find(':'));
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    fields[name] = line.substr(std::min(line.size(), line.find(':') + 2));
    at = end;
  }
  return fields;
}

std::string without(std::string text, const std::string& what) {
  for (std::size_t at = 0; !what.empty() && (at = text.find(what)) != std::string::npos;)
    text.replace(at, what.size(), "BOUNDARY");
  return text;
}

/// Everything that came on a connection, answer by answer. The words of errors are each server's.
Answers read_answers(std::string bytes, bool to_head) {
  Answers answers;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (!bytes.starts_with("HTTP/1.1 ") || end == std::string::npos) {
      answers.list.push_back("no response: " + bytes.substr(0, 80));
      break;
    }
    Fields fields = fields_of(bytes.substr(0, end + 2));
    const int status = std::stoi(bytes.substr(9, 3));
    bytes.erase(0, end + 4);
    const bool bodiless = (to_head && answers.list.empty()) || status == 304 || status < 200;
    const std::string length = fields.contains("content-length") ? fields["content-length"] : "0";
    const std::size_t body_bytes = bodiless ? 0 : std::stoul(length);
    const std::string body = bytes.substr(0, body_bytes);
    bytes.erase(0, body_bytes);

    std::string answer = std::to_string(status);
    const std::string& type = fields["content-type"];
    const std::size_t boundary_at = type.find("boundary=");
    const std::string boundary =
        boundary_at == std::string::npos ? std::string() : type.substr(boundary_at + 9);
    if (status < 300) answer += " " + without(type, boundary) + " " + length;
    for (const char* name : {"content-range", "last-modified", "accept-ranges", "location"})
      if (fields.contains(name)) answer += std::string(" ") + name + ": " + fields[name];
    if (fields.contains("etag")) answer += " etag";
    if (fields["connection"] == "close") answer += " close";
    if (status < 300) answer += " [" + without(body, boundary) + "]";
    answers.list.push_back(answer);
  }
  return answers;
}

class NginxComparison : public Serve {
 protected:
  void prepare_network() override {
    ASSERT_EQ(at_peer("ip link set lo up").exit_code, 0);
    make_file("hello.txt", "abcdefghijklmnopqrstuvwxyz");
    make_file("empty.txt", "");
    make_file("a b.txt", "blank");
    make_file("100%.txt", "percent");
    make_file("dir/index.html", "<p>index</p>");
    make_file("dir/file.txt", "in a directory");
    make_file("bare/file.txt", "no index");
    std::filesystem::create_symlink("/etc/hostname", served_.path("out"));
    std::filesystem::create_symlink("hello.txt", served_.path("in"));
    root_directory_ = served_.path();
    ::chmod(served_.path().c_str(), 0755);
    start_nginx();
  }
  void make_file(const std::string& name, const std::string& bytes) const {
    const std::string path = served_.path(name);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    const std::array times{timespec{file_time, 0}, timespec{file_time, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), 0), 0);
  }
  void start_nginx() {
    const std::string work = root_.path("nginx");
    std::filesystem::create_directories(work);
    std::ofstream(work + "/nginx.conf")
        << "daemon off; master_process off; user root;\n"  // so that no worker is left behind
        << "pid " << work << "/pid; error_log stderr warn;\n"
        << "events {}\nhttp { access_log off; absolute_redirect off;\n"
        << "types { text/plain txt; text/html html; }\n"
        << "default_type application/octet-stream;\n"
        << "charset utf-8; client_body_temp_path " << work << "/body;\nserver { listen 8081; root "
        << served_.path() << "; } }\n";
    auto spawned = network_->spawn_in_namespace(
        {"nginx", "-e", "stderr", "-p", work, "-c", work + "/nginx.conf"});
    ASSERT_TRUE(spawned) << spawned.error().message();
    nginx_.emplace(std::move(*spawned));
    const CommandResult up = at_peer(
        "i=0; until curl -so /dev/null http://127.0.0.1:8081/; do "
        "i=$((i+1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done");
    ASSERT_EQ(up.exit_code, 0) << nginx_->output();
  }

  struct Host {
    std::string address;
    std::uint16_t port;
  };
  [[nodiscard]] Host ours() const { return {network_->near().address, 80}; }
  [[nodiscard]] static Host nginx() { return {"127.0.0.1", nginx_port}; }

  /// Sends all of it and reads to the end of the connection.
  [[nodiscard]] std::string talk(const Host& host, const std::string& bytes) const {
    std::string got;
    network_->in_namespace([&] {
      const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const timeval limit{20, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(host.port);
      ::inet_pton(AF_INET, host.address.c_str(), &address.sin_addr);
      if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return;
      // A server that has had enough may reset meanwhile; what it said before counts.
      static_cast<void>(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
      std::array<char, 65536> block{};
      for (ssize_t n = 0; (n = ::recv(fd.get(), block.data(), block.size(), 0)) > 0;)
        got.append(block.data(), static_cast<std::size_t>(n));
    });
    return got;
  }

  /// The request, and behind it another one that tells whether the connection lived on.
  [[nodiscard]] Answers answers(const Host& host, const HttpRequest& request,
                                const std::string& tag) const {
    std::string bytes = request.bytes;
    for (std::size_t at = 0; (at = bytes.find("{etag}")) != std::string::npos;)
      bytes.replace(at, 6, tag);
    if (request.probed)
      bytes += "GET /dir/file.txt HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n";
    return read_answers(talk(host, bytes), bytes.starts_with("HEAD"));
  }
  [[nodiscard]] std::string tag_of(const Host& host) const {
    const std::string bytes =
        talk(host, "GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    return fields_of(bytes.substr(0, bytes.find("\r\n\r\n") + 2))["etag"];
  }

  TempDir served_;
  std::optional<ChildProcess> nginx_;
};
INSTANTIATE_TEST_SUITE_P(Ports, NginxComparison, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(NginxComparison, the_same_requests_get_the_same_answers_but_for_those_that_are_told) {
  std::ifstream page_file(HTTP_PAGE);
  const std::string page(std::istreambuf_iterator<char>(page_file), {});
  const std::string our_tag = tag_of(ours());
  const std::string nginx_tag = tag_of(nginx());
  ASSERT_FALSE(our_tag.empty());
  ASSERT_FALSE(nginx_tag.empty());
  std::size_t requests = 0;
  for (const HttpRequest& request : http_requests()) {
    SCOPED_TRACE(request.name);
    const Answers our_answers = answers(ours(), request, our_tag);
    const Answers nginx_answers = answers(nginx(), request, nginx_tag);
    ++requests;
    if (request.difference.empty()) {
      EXPECT_EQ(our_answers, nginx_answers);
      continue;
    }
    EXPECT_NE(our_answers, nginx_answers) << "no difference any more";
    ASSERT_FALSE(our_answers.list.empty()) << server_->output();
    EXPECT_EQ(our_answers.list.front().substr(0, 3), std::to_string(request.our_status))
        << our_answers;
    EXPECT_NE(page.find(request.difference), std::string::npos)
        << "docs/http.md does not say: " << request.difference;
  }
  EXPECT_GE(requests, 60U);
  stop();
}

}  // namespace
}  // namespace strictsend::test
