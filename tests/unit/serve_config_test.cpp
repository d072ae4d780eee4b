// SPDX-License-Identifier: Apache-2.0
// The configuration file of `serve`, and what --print-config says.
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "apps/cli/option_reader.hpp"
#include "apps/serve/option_table.hpp"
#include "apps/serve/serve_options.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::serve {
namespace {

class ServeConfig : public ::testing::Test {
 protected:
  /// Of a file with this text, and more arguments.
  tl::expected<ServeOptions, std::string> parse(const std::string& text,
                                                std::vector<std::string> more = {}) const {
    std::ofstream(path_, std::ios::binary) << text;
    more.insert(more.begin(), {"--config", path_});
    return parse_serve_options(more);
  }
  std::string printed(const std::string& text, std::vector<std::string> more = {}) const {
    more.emplace_back("--print-config");
    const auto options = parse(text, more);
    EXPECT_TRUE(options) << options.error();
    return options ? options->printed : "";
  }
  std::string complaint(const std::string& text, const std::vector<std::string>& more = {}) const {
    const auto options = parse(text, more);
    EXPECT_FALSE(options) << text;
    if (options) return "";
    EXPECT_EQ(options.error().find('\n'), std::string::npos) << options.error();
    return options.error();
  }

  test::TempDir folder_;
  std::string path_ = folder_.path("serve.conf");
};

constexpr const char* least = "nic = af_xdp:eth0\nroot = /srv\n";

TEST_F(ServeConfig, says_what_the_command_line_could_say) {
  const auto options = parse(
      "# What eth0 serves.\n"
      "\n"
      "nic=af_xdp:eth0\r\n"
      "  root\t=  /srv/my files   # with a blank\n"
      "port = 8080\n"
      "listing = yes\n"
      "allow-put = false\n"
      "cache = 512M");
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->engine.nic, "af_xdp:eth0");
  EXPECT_EQ(options->server.root, "/srv/my files");
  EXPECT_EQ(options->server.port, 8080);
  EXPECT_TRUE(options->server.store.listing);
  EXPECT_FALSE(options->server.allow_put);
  EXPECT_EQ(options->engine.cache_bytes, 512U << 20);
  EXPECT_TRUE(options->printed.empty());
}

TEST_F(ServeConfig, has_every_option_but_those_of_the_command_line_alone) {
  for (const OptionRow& row : option_table()) {
    const std::string error = complaint(std::string(least) + row.name + " =\n");
    const std::string place = path_ + ":3: " + row.name;
    if (row.kind == OptionRow::Kind::once)
      EXPECT_EQ(error, place + " is for the command line alone; take it out");
    else if (row.usual != std::string() || row.name == std::string("pcap"))
      EXPECT_TRUE(error.starts_with(place + ": ")) << error;
    else
      EXPECT_NE(error.find(row.name), std::string::npos) << error;
  }
}

TEST_F(ServeConfig, yields_to_the_command_line) {
  const std::string text =
      std::string(least) + "port = 1\nlisting = yes\nidle-timeout = nonsense\n";
  const auto options = parse(text, {"--port", "2", "--listing=no", "--idle-timeout=5s"});
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->server.port, 2);
  EXPECT_FALSE(options->server.store.listing);
  EXPECT_EQ(options->server.limits.idle_timeout, std::chrono::seconds(5));
  EXPECT_TRUE(parse(text, {"--listing", "--idle-timeout=5s"})->server.store.listing);
  // Whoever gave it is told.
  EXPECT_TRUE(complaint(text, {"--idle-timeout=x"}).starts_with("--idle-timeout: "));
  EXPECT_TRUE(complaint(text).starts_with(path_ + ":5: idle-timeout: "));
}

TEST_F(ServeConfig, a_mistake_is_named_with_its_line) {
  struct Case {
    const char* text;
    const char* error;  ///< behind the path
  };
  for (const Case& c : std::vector<Case>{
           {"nic = eth0\n", ":1: nic: \"eth0\" names no kind of port"},
           {"\n\nport 80\n", ":3: \"port 80\" is no setting; write name = value"},
           {"= 80\n", ":1: there is no option \"\"; the names are those of --help"},
           {"prot = 80\n", ":1: there is no option \"prot\"; the names are those of --help"},
           {"por = 80\n", ":1: there is no option \"por\""},
           {"--port = 80\n", ":1: there is no option \"--port\""},
           {"[http]\nport = 80\n", ":1: \"[http]\": there are no sections here"},
           {"port = 1\n# x\nport = 2\n", ":3: port stands here a second time, first at "},
           {"listing\n", ":1: \"listing\" is no setting; write name = value"},
           {"listing = perhaps\n", ":1: listing: \"perhaps\" is neither yes nor no"},
           {"put-limit = 5M\n", ":1: put-limit: nothing is stored without --allow-put"},
           {"eal-arguments = -l 0\n", ":1: eal-arguments: DPDK's, which"},
           {"config = other\n", ":1: config is for the command line alone"},
       }) {
    const std::vector<std::string> rest =
        std::string(c.text).starts_with("nic")
            ? std::vector<std::string>{"--root=/srv"}
            : std::vector<std::string>{"--nic=af_xdp:eth0", "--root=/srv"};
    const std::string error = complaint(c.text, rest);
    EXPECT_TRUE(error.starts_with(path_ + c.error)) << error;
  }
  EXPECT_TRUE(complaint({"port\0 = 80\n", 11}).starts_with(path_ + ":1: it holds a zero byte"));
  EXPECT_TRUE(complaint("").starts_with("--nic is missing"));
}

TEST_F(ServeConfig, must_be_a_file_that_can_be_read) {
  const auto of = [](const std::string& path) {
    return parse_serve_options(std::vector<std::string>{"--config", path}).error();
  };
  EXPECT_EQ(of(folder_.path("none")), "cannot read the configuration file " + folder_.path("none") +
                                          ": No such file or directory");
  EXPECT_NE(of(folder_.path()).find("it is a directory; name a file in it"), std::string::npos);
  ASSERT_EQ(::mkfifo(folder_.path("fifo").c_str(), 0600), 0);
  EXPECT_NE(of(folder_.path("fifo")).find("it is no regular file"), std::string::npos);
  EXPECT_NE(of("/dev/zero").find("it is no regular file"), std::string::npos);
  EXPECT_NE(complaint(std::string((1 << 20) + 1, '\n')).find("longer than 1 MiB"),
            std::string::npos);
}

TEST_F(ServeConfig, is_printed_as_a_file_that_prints_the_same) {
  const std::string text =
      "nic = dpdk:net_tap0\n"
      "root = /srv/my files\n"
      "listing = yes\n"
      "address = 10.0.0.1/24\n"
      "eal-arguments = --no-huge \"--vdev=net_tap0,iface=a b\"\n";
  const std::string first = printed(text, {"--port", "81", "--allow-put"});
  for (const char* line :
       {"nic = dpdk:net_tap0\n", "root = /srv/my files\n", "port = 81\n", "listing = yes\n",
        "allow-put = yes\n", "# cache = 1G\n", "# vlan: none\n",
        "eal-arguments = --no-huge \"--vdev=net_tap0,iface=a b\"\n"})
    EXPECT_NE(("\n" + first).find(std::string("\n") + line), std::string::npos) << first;
  EXPECT_EQ(printed(first), first);
  // With all that was a comment in effect, it is the same server.
  std::string explicitly = first;
  for (const OptionRow& row : option_table()) {
    const std::string usual = fmt::format("# {} = {}\n", row.name, row.usual);
    if (const auto at = explicitly.find(usual); at != std::string::npos) explicitly.erase(at, 2);
  }
  EXPECT_EQ(explicitly.find("# cache"), std::string::npos);
  EXPECT_EQ(printed(explicitly), explicitly);
}

TEST_F(ServeConfig, what_stands_behind_two_dashes_goes_for_what_the_file_says) {
  const std::string text =
      "nic = dpdk:net_tap0\nroot = /srv\neal-arguments = '--no-huge' --vdev=\"a b\"\\\\\n";
  EXPECT_EQ(parse(text)->engine.nic_arguments,
            (std::vector<std::string>{"--no-huge", "--vdev=a b\\"}));
  const std::vector<std::string> words{"--no-pci", "--x=a \"b\\"};
  EXPECT_EQ(parse(text, {"--", words[0], words[1]})->engine.nic_arguments, words);
  const auto shown = parse(text, {"--print-config", "--", words[0], words[1]});
  ASSERT_TRUE(shown) << shown.error();
  const auto again = parse(shown->printed);
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(again->engine.nic_arguments, words);
  EXPECT_NE(parse_serve_options(std::vector<std::string>{"--nic=dpdk:net_tap0", "--root=/srv",
                                                         "--eal-arguments=-l 0", "--", "-l", "0"})
                .error()
                .find("two ways to say the same"),
            std::string::npos);
}

TEST_F(ServeConfig, what_a_line_cannot_hold_is_not_printed) {
  for (const char* root : {"/srv/a#b", "/srv ", "/srv\nport = 1"}) {
    const auto options = parse("nic = af_xdp:eth0\n", {"--root", root, "--print-config"});
    ASSERT_FALSE(options);
    EXPECT_NE(options.error().find("cannot stand in a configuration file"), std::string::npos)
        << options.error();
  }
}

/// Everything that has a default in the table: given as such, it changes nothing.
TEST_F(ServeConfig, defaults_are_those_that_are_printed) {
  const ServeOptions plain = parse(least).value();
  std::string text = std::string(least) + "allow-put = yes\n";
  for (const OptionRow& row : option_table())
    if (*row.usual != '\0' && row.name != std::string("allow-put"))
      text += fmt::format("{} = {}\n", row.name, row.usual);
  const auto options = parse(text);
  ASSERT_TRUE(options) << options.error();
  const EngineConfig& a = plain.engine;
  const EngineConfig& b = options->engine;
  EXPECT_EQ(options->server.port, plain.server.port);
  EXPECT_EQ(options->server.store.listing, plain.server.store.listing);
  EXPECT_EQ(options->server.limits.put_bytes_max, plain.server.limits.put_bytes_max);
  EXPECT_EQ(options->server.limits.idle_timeout, plain.server.limits.idle_timeout);
  EXPECT_EQ(options->server.limits.request_timeout, plain.server.limits.request_timeout);
  EXPECT_EQ(options->server.drain_timeout, plain.server.drain_timeout);
  EXPECT_EQ(options->log_level, plain.log_level);
  EXPECT_EQ(b.queues, a.queues);
  EXPECT_EQ(b.cache_bytes, a.cache_bytes);
  EXPECT_EQ(b.tx_form, a.tx_form);
  EXPECT_EQ(b.checksum_offload, a.checksum_offload);
  EXPECT_EQ(b.segmentation_offload, a.segmentation_offload);
  EXPECT_EQ(b.congestion, a.congestion);
  EXPECT_EQ(b.ecn, a.ecn);
  EXPECT_EQ(b.pacing, a.pacing);
  EXPECT_EQ(b.max_connections, a.max_connections);
}

TEST_F(ServeConfig, the_manual_page_explains_nothing_that_is_not_there) {
  const std::vector<std::string> names = serve_option_names();
  std::istringstream page{std::string(serve_help())};
  std::size_t headings = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("    --") || line.starts_with("    -- ")) continue;
    const std::string name = line.substr(6, line.find_first_of(" |[", 6) - 6);
    EXPECT_NE(std::ranges::find(names, name), names.end()) << line;
    ++headings;
  }
  EXPECT_GE(headings, names.size() - 1) << "help stands behind its letter";
}

TEST_F(ServeConfig, the_manual_page_names_the_same_defaults) {
  const std::string page(serve_help());
  for (const OptionRow& row : option_table()) {
    if (row.kind != OptionRow::Kind::value || *row.usual == '\0') continue;
    const std::size_t begin = page.find(fmt::format("\n    --{} ", row.name));
    ASSERT_NE(begin, std::string::npos) << row.name;
    const std::string entry = page.substr(begin, page.find("\n    --", begin + 1) - begin);
    const bool said =
        entry.find(fmt::format("Default: {}.", row.usual)) != std::string::npos ||
        entry.find(fmt::format("Default:\n        {}.", row.usual)) != std::string::npos;
    EXPECT_TRUE(said) << entry;
  }
}

TEST(Words, come_back_as_they_were) {
  const std::vector<std::string> words{"a",  "--b=c d", "e\"f",    "g\\h", "'i'",
                                       "\t", "jk",      "l'm n\"", "\\\\"};
  EXPECT_EQ(cli::split_words(cli::join_words(words)).value(), words);
  EXPECT_EQ(cli::split_words("  a\t 'b c'  ").value(), (std::vector<std::string>{"a", "b c"}));
  EXPECT_FALSE(cli::split_words("a\\"));
}

}  // namespace
}  // namespace strictsend::serve
