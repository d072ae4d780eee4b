// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/upload_queue.hpp"

#include "apps/http/answer.hpp"
#include "apps/http/clock.hpp"

namespace strictsend::serve {
namespace {

using http::Refusal;
using http::UploadOutcome;
using http::UploadProgress;

constexpr std::size_t upload_threads = 4;

}  // namespace

Result<std::unique_ptr<UploadQueue>> UploadQueue::create(FileStore& store) {
  Result<app::WakeUp> wake_up = app::WakeUp::create();
  if (!wake_up) return tl::unexpected(wake_up.error());
  return std::unique_ptr<UploadQueue>(new UploadQueue(store, std::move(*wake_up)));
}

UploadQueue::UploadQueue(FileStore& store, app::WakeUp wake_up)
    : store_(store), wake_up_(std::move(wake_up)), workers_(upload_threads) {}

template <class Step>
void UploadQueue::post(ConnectionId connection, Step step) {
  const auto found = uploads_.find(key_of(connection));
  if (found == uploads_.end()) return;
  workers_.post([this, connection, upload = found->second, step = std::move(step)]() mutable {
    UploadOutcome outcome = step(*upload);
    // After a refusal nothing is left of it, before that is known.
    if (!outcome || *outcome != UploadProgress::ready) upload->file.reset();
    upload.reset();
    {
      const std::lock_guard lock(mutex_);
      done_.push_back({connection, std::move(outcome)});
    }
    wake_up_.signal();
  });
}

void UploadQueue::begin(ConnectionId connection, std::string path, http::Conditions conditions) {
  auto upload = std::make_shared<Upload>();
  upload->path = std::move(path);
  upload->conditions = std::move(conditions);
  uploads_[key_of(connection)] = std::move(upload);
  ++counted_.uploads_begun;
  post(connection, [this](Upload& u) { return begin(u); });
}

void UploadQueue::write(ConnectionId connection, std::string bytes) {
  counted_.uploads_bytes_received += bytes.size();
  post(connection, [bytes = std::move(bytes)](Upload& upload) -> UploadOutcome {
    const auto written = upload.file->write(bytes);
    if (!written) return tl::unexpected(written.error());
    return UploadProgress::ready;
  });
}

void UploadQueue::finish(ConnectionId connection) {
  post(connection, [this](Upload& upload) { return commit(upload); });
}

void UploadQueue::abandon(ConnectionId connection) {
  auto node = uploads_.extract(key_of(connection));
  if (node.empty()) return;
  ++counted_.uploads_abandoned;
  // Its file is taken back where that may wait for the disk.
  workers_.post([upload = std::move(node.mapped())]() mutable { upload.reset(); });
}

std::vector<UploadQueue::Done> UploadQueue::take() {
  wake_up_.clear();
  std::vector<Done> done;
  {
    const std::lock_guard lock(mutex_);
    done.swap(done_);
  }
  for (const Done& one : done) {
    if (one.outcome && *one.outcome == UploadProgress::ready) continue;
    // Whose connection went meanwhile was counted as abandoned.
    if (uploads_.erase(key_of(one.connection)) > 0) ++count_of(one.outcome);
  }
  return done;
}

std::uint64_t& UploadQueue::count_of(const UploadOutcome& outcome) {
  if (!outcome) return counted_.uploads_refused;
  return *outcome == UploadProgress::created ? counted_.uploads_created : counted_.uploads_replaced;
}

void UploadQueue::counts(ServerCounters& counters) const {
  counters.uploads_begun = counted_.uploads_begun;
  counters.uploads_open = uploads_.size();
  counters.uploads_created = counted_.uploads_created;
  counters.uploads_replaced = counted_.uploads_replaced;
  counters.uploads_refused = counted_.uploads_refused;
  counters.uploads_abandoned = counted_.uploads_abandoned;
  counters.uploads_bytes_received = counted_.uploads_bytes_received;
}

UploadOutcome UploadQueue::begin(Upload& upload) {
  // Asked again at the end; before a long body comes in vain it is better to know.
  if (const auto checked = check(upload); !checked) return tl::unexpected(checked.error());
  auto file = UploadFile::create(store_.resolver(), upload.path);
  if (!file) return tl::unexpected(file.error());
  upload.file.emplace(std::move(*file));
  return UploadProgress::ready;
}

UploadOutcome UploadQueue::commit(Upload& upload) {
  UploadFile& file = *upload.file;
  if (const auto durable = file.make_durable(); !durable) return tl::unexpected(durable.error());
  tl::expected<UploadProgress, Refusal> stored = UploadProgress::created;
  {
    const std::lock_guard lock(commit_mutex_);
    const auto must_be_new = check(upload);
    if (!must_be_new) return tl::unexpected(must_be_new.error());
    stored = file.take_name(*must_be_new);
  }
  if (!stored) return tl::unexpected(stored.error());
  if (const auto durable = file.make_name_durable(); !durable)
    return tl::unexpected(durable.error());
  return *stored;
}

tl::expected<bool, Refusal> UploadQueue::check(const Upload& upload) {
  if (!upload.conditions.any()) return false;
  std::optional<http::Validators> current;
  const http::Resolution there = store_.current(upload.path);
  const std::int64_t now = http::SystemClock().unix_seconds();
  if (there) {
    const FileAttributes& attributes = (*there)->attributes();
    current = http::Validators{attributes.entity_tag, http::last_modified(attributes, now)};
  } else if (there.error().status != 404 && there.error().status != 301) {
    return tl::unexpected(there.error());
  }
  if (http::evaluate(upload.conditions, current, false, now) != http::Verdict::perform)
    return tl::unexpected(Refusal{412, "The file is not as the request's conditions want it."});
  return !current.has_value();
}

}  // namespace strictsend::serve
