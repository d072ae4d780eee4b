// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/config_file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sstream>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "apps/support/unique_fd.hpp"

namespace strictsend::cli {

namespace po = boost::program_options;

namespace {

constexpr std::size_t bytes_max = 1U << 20;
/// Some editors put it in front of UTF-8.
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

tl::unexpected<std::string> cannot_read(const std::string& path, std::string_view why) {
  return tl::unexpected(fmt::format("cannot read the configuration file {}: {}", path, why));
}

std::string reason_of(int error) {
  return std::generic_category().message(error);
}

Parsed<std::string> contents_of(const std::string& path) {
  // Opening a FIFO would wait for whoever writes to it.
  const app::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid()) {
    const int error = errno;
    return cannot_read(path, error == EACCES || error == EPERM
                                 ? reason_of(error) + "; run as a user who may read it"
                                 : reason_of(error));
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return cannot_read(path, reason_of(errno));
  if (S_ISDIR(status.st_mode))
    return cannot_read(path, "it is a directory; name a file in it, such as serve.conf");
  if (!S_ISREG(status.st_mode)) return cannot_read(path, "it is no regular file");
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(path, reason_of(errno));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > bytes_max)
      return cannot_read(path, "it is longer than 1 MiB, so hardly a configuration");
  }
}

std::string_view without_comment(std::string_view line) {
  line = line.substr(0, line.find('#'));
  constexpr std::string_view blank = " \t\r";
  const std::size_t begin = line.find_first_not_of(blank);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(blank) - begin + 1);
}

/// One line without its comment. Boost is given them one by one, because it does not tell where it
/// has found a mistake.
Parsed<po::option> parse_line(std::string_view line, const po::options_description& options) {
  if (line.front() == '[')
    return tl::unexpected(
        fmt::format("\"{}\": there are no sections here; write name = value", line));
  if (line.find('\0') != std::string_view::npos)
    return tl::unexpected<std::string>("it holds a zero byte, so this is no text file");
  try {
    std::istringstream in{std::string(line)};
    po::parsed_options parsed = po::parse_config_file(in, options, false);
    if (parsed.options.size() == 1) return std::move(parsed.options.front());
  } catch (const po::unknown_option& error) {
    return tl::unexpected(fmt::format("there is no option \"{}\"; the names are those of --help",
                                      error.get_option_name()));
  } catch (const po::error&) {
  }
  return tl::unexpected(fmt::format("\"{}\" is no setting; write name = value", line));
}

}  // namespace

Parsed<ConfigFile> parse_config(std::string_view text, const std::string& path,
                                const po::options_description& options,
                                const std::vector<std::string>& command_line_only) {
  ConfigFile file;
  file.options.description = &options;
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_comment(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const std::string place = fmt::format("{}:{}", path, number);
    Parsed<po::option> option = parse_line(line, options);
    if (!option) return tl::unexpected(fmt::format("{}: {}", place, option.error()));
    const std::string& name = option->string_key;
    if (std::ranges::find(command_line_only, name) != command_line_only.end())
      return tl::unexpected(
          fmt::format("{}: {} is for the command line alone; take it out", place, name));
    if (const auto before = file.places.find(name); before != file.places.end())
      return tl::unexpected(fmt::format("{}: {} stands here a second time, first at {}; keep one",
                                        place, name,
                                        before->second.substr(0, before->second.rfind(": "))));
    file.places.emplace(name, fmt::format("{}: {}", place, name));
    file.options.options.push_back(std::move(*option));
  }
  return file;
}

Parsed<ConfigFile> read_config_file(const std::string& path, const po::options_description& options,
                                    const std::vector<std::string>& command_line_only) {
  const Parsed<std::string> text = contents_of(path);
  if (!text) return tl::unexpected(text.error());
  return parse_config(*text, path, options, command_line_only);
}

Parsed<std::string> config_line(std::string_view name, std::string_view value) {
  std::string_view why;
  if (value.find('#') != std::string_view::npos) why = "# begins a comment there";
  if (value.find_first_of(std::string_view("\n\0", 2)) != std::string_view::npos)
    why = "it ends the line";
  constexpr std::string_view blank = " \t\r\n";
  if (!value.empty() && (blank.find(value.front()) != std::string_view::npos ||
                         blank.find(value.back()) != std::string_view::npos))
    why = "blanks at its ends are dropped there";
  if (!why.empty())
    return tl::unexpected(
        fmt::format("{}: \"{}\" cannot stand in a configuration file: {}", name, value, why));
  return fmt::format("{} = {}", name, value);
}

}  // namespace strictsend::cli
