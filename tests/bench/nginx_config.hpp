// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

namespace strictsend::bench {

struct NginxSetup {
  std::string work_directory;  ///< for what nginx writes
  bool sendfile = true;
  std::string address;
  std::uint16_t port = 0;
  std::string root;  ///< that it serves
};

/// Everything that is not about sending one file is left at nginx's defaults: sendfile_max_chunk is
/// 2 MiB, and without sendfile it reads into two buffers of 32 KiB.
inline std::string nginx_config(const NginxSetup& setup) {
  return fmt::format(R"(daemon off;
user root;
pid {0}/pid;
error_log stderr warn;
worker_processes 1;
events {{}}
http {{
  access_log off;
  sendfile {1};
  open_file_cache off;
  client_body_temp_path {0}/body;
  proxy_temp_path {0}/proxy;
  fastcgi_temp_path {0}/fastcgi;
  uwsgi_temp_path {0}/uwsgi;
  scgi_temp_path {0}/scgi;
  server {{
    listen {2}:{3};
    root {4};
  }}
}}
)",
                     setup.work_directory, setup.sendfile ? "on" : "off", setup.address, setup.port,
                     setup.root);
}

}  // namespace strictsend::bench
