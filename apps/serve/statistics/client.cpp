// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/statistics/client.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <poll.h>
#include <utility>

#include "apps/http/clock.hpp"

namespace strictsend::statistics {

Client Client::of_unix_socket(app::UniqueFd fd, std::string document, TimePoint deadline) {
  Client client(std::move(fd), Phase::writing, deadline);
  client.answer_ = std::move(document);
  return client;
}

Client Client::of_http(app::UniqueFd fd, TimePoint deadline) {
  Client client(std::move(fd), Phase::reading, deadline);
  client.request_ = std::make_unique<MetricsRequest>();
  return client;
}

short Client::events() const {
  return phase_ == Phase::writing ? POLLOUT : POLLIN;
}

bool Client::go_on(Sampler& sampler, TimePoint now) {
  while (true) {
    Step step = Step::over;
    switch (phase_) {
      case Phase::reading:
        step = read(sampler, now);
        break;
      case Phase::writing:
        step = write();
        break;
      case Phase::closing:
        step = discard();
        break;
    }
    if (step != Step::next) return step == Step::wait;
  }
}

Client::Step Client::read(Sampler& sampler, TimePoint now) {
  std::array<char, 4096> block;
  const ssize_t got = ::recv(fd(), block.data(), block.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Step::wait : Step::over;
  if (got == 0) return Step::over;
  auto answer = request_->take(
      {block.data(), static_cast<std::size_t>(got)}, [&] { return sampler.prometheus(now); },
      http::SystemClock().unix_seconds());
  // One block at a turn, so that who sends without end does not keep the thread.
  if (!answer) return Step::wait;
  answer_ = std::move(*answer);
  phase_ = Phase::writing;
  return Step::next;
}

Client::Step Client::write() {
  while (written_ < answer_.size()) {
    const ssize_t put =
        ::send(fd(), answer_.data() + written_, answer_.size() - written_, MSG_NOSIGNAL);
    if (put < 0) return errno == EAGAIN || errno == EINTR ? Step::wait : Step::over;
    written_ += static_cast<std::size_t>(put);
  }
  answer_ = std::string();
  ::shutdown(fd(), SHUT_WR);
  phase_ = Phase::closing;
  return Step::next;
}

Client::Step Client::discard() const {
  std::array<char, 4096> block;
  const ssize_t got = ::recv(fd(), block.data(), block.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Step::wait : Step::over;
  return got == 0 ? Step::over : Step::wait;
}

}  // namespace strictsend::statistics
