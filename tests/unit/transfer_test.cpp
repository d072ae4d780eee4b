// SPDX-License-Identifier: Apache-2.0
#include "pagecache/transfer.hpp"

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::pagecache {
namespace {

constexpr std::uint32_t request_bytes = 8192;

class TransferTest : public testing::Test {
 protected:
  std::vector<std::byte> memory_ = std::vector<std::byte>(65536);

  IoPiece piece(std::uint64_t offset, std::uint64_t length) {
    return IoPiece{memory_.data() + offset, offset, length};
  }
  static Transfer::Request expect_next(Transfer& transfer) {
    Transfer::Request request;
    EXPECT_TRUE(transfer.next(request));
    return request;
  }
  static void expect_none(Transfer& transfer) {
    Transfer::Request request;
    EXPECT_FALSE(transfer.next(request));
  }
};

TEST_F(TransferTest, cuts_pieces_into_requests_and_counts_what_was_moved) {
  const std::vector<IoPiece> pieces{piece(0, 20000), piece(32768, 4096)};
  Transfer transfer(IoDirection::read, pieces, 8, request_bytes, 1);
  const auto a = expect_next(transfer);
  const auto b = expect_next(transfer);
  const auto c = expect_next(transfer);
  const auto d = expect_next(transfer);
  expect_none(transfer);
  EXPECT_EQ(a.length_bytes, 8192U);
  EXPECT_EQ(b.file_offset, 8192U);
  EXPECT_EQ(c.length_bytes, 20000U - 16384U);
  EXPECT_EQ(d.file_offset, 32768U);
  EXPECT_EQ(d.memory, memory_.data() + 32768);
  EXPECT_FALSE(transfer.done());
  for (const auto& request : {d, b, a, c})
    transfer.complete(request.slot, static_cast<std::int32_t>(request.length_bytes));
  EXPECT_TRUE(transfer.done());
  EXPECT_EQ(transfer.outcome().bytes, 24096U);
  EXPECT_EQ(transfer.outcome().error, 0);
  EXPECT_FALSE(transfer.outcome().ended_early);
}

TEST_F(TransferTest, keeps_no_more_in_flight_than_it_has_slots) {
  const std::vector<IoPiece> pieces{piece(0, 65536)};
  Transfer transfer(IoDirection::write, pieces, 2, request_bytes, 1);
  const auto first = expect_next(transfer);
  expect_next(transfer);
  expect_none(transfer);
  EXPECT_EQ(transfer.in_flight(), 2U);
  transfer.complete(first.slot, request_bytes);
  EXPECT_EQ(expect_next(transfer).file_offset, 16384U);
}

TEST_F(TransferTest, continues_a_short_answer_where_it_ended) {
  const std::vector<IoPiece> pieces{piece(0, 8192)};
  Transfer transfer(IoDirection::write, pieces, 4, request_bytes, 1);
  const auto first = expect_next(transfer);
  transfer.complete(first.slot, 100);
  const auto rest = expect_next(transfer);
  EXPECT_EQ(rest.file_offset, 100U);
  EXPECT_EQ(rest.memory, memory_.data() + 100);
  EXPECT_EQ(rest.length_bytes, 8092U);
  transfer.complete(rest.slot, 8092);
  EXPECT_TRUE(transfer.done());
  EXPECT_EQ(transfer.outcome().bytes, 8192U);
}

TEST_F(TransferTest, a_read_of_nothing_is_the_end_of_the_file) {
  const std::vector<IoPiece> pieces{piece(0, 8192)};
  Transfer transfer(IoDirection::read, pieces, 4, request_bytes, 1);
  const auto first = expect_next(transfer);
  transfer.complete(first.slot, 5000);
  transfer.complete(expect_next(transfer).slot, 0);
  EXPECT_TRUE(transfer.done());
  EXPECT_TRUE(transfer.outcome().ended_early);
  EXPECT_EQ(transfer.outcome().bytes, 5000U);
  EXPECT_EQ(transfer.outcome().error, 0);
}

TEST_F(TransferTest, direct_reads_do_not_go_on_from_the_middle_of_a_block) {
  const std::vector<IoPiece> pieces{piece(0, 8192)};
  Transfer transfer(IoDirection::read, pieces, 4, request_bytes, 512);
  transfer.complete(expect_next(transfer).slot, 4097);
  EXPECT_TRUE(transfer.done());
  EXPECT_TRUE(transfer.outcome().ended_early);
}

TEST_F(TransferTest, direct_reads_go_on_from_a_whole_block) {
  const std::vector<IoPiece> pieces{piece(0, 8192)};
  Transfer transfer(IoDirection::read, pieces, 4, request_bytes, 512);
  transfer.complete(expect_next(transfer).slot, 4096);
  const auto rest = expect_next(transfer);
  EXPECT_EQ(rest.file_offset, 4096U);
  transfer.complete(rest.slot, 4096);
  EXPECT_TRUE(transfer.done());
  EXPECT_FALSE(transfer.outcome().ended_early);
}

TEST_F(TransferTest, a_write_that_takes_nothing_is_an_error) {
  const std::vector<IoPiece> pieces{piece(0, 4096)};
  Transfer transfer(IoDirection::write, pieces, 4, request_bytes, 1);
  transfer.complete(expect_next(transfer).slot, 0);
  EXPECT_TRUE(transfer.done());
  EXPECT_EQ(transfer.outcome().error, EIO);
}

TEST_F(TransferTest, asks_again_after_eagain_eintr_and_ecanceled) {
  const std::vector<IoPiece> pieces{piece(0, 4096)};
  Transfer transfer(IoDirection::read, pieces, 4, request_bytes, 1);
  transfer.complete(expect_next(transfer).slot, -EAGAIN);
  EXPECT_FALSE(transfer.done());
  transfer.complete(expect_next(transfer).slot, -EINTR);
  transfer.complete(expect_next(transfer).slot, -ECANCELED);
  EXPECT_FALSE(transfer.done());
  transfer.complete(expect_next(transfer).slot, 4096);
  EXPECT_TRUE(transfer.done());
  EXPECT_EQ(transfer.outcome().error, 0);
}

TEST_F(TransferTest, eagain_without_end_is_reported) {
  const std::vector<IoPiece> pieces{piece(0, 4096)};
  Transfer transfer(IoDirection::read, pieces, 4, request_bytes, 1);
  std::uint32_t asked = 0;
  Transfer::Request request;
  while (transfer.next(request)) {
    ++asked;
    transfer.complete(request.slot, -EAGAIN);
  }
  EXPECT_EQ(asked, Transfer::retries_max + 1);
  EXPECT_EQ(transfer.outcome().error, EAGAIN);
}

TEST_F(TransferTest, the_first_error_stops_the_rest_but_waits_for_what_is_in_flight) {
  const std::vector<IoPiece> pieces{piece(0, 65536)};
  Transfer transfer(IoDirection::read, pieces, 3, request_bytes, 1);
  const auto a = expect_next(transfer);
  const auto b = expect_next(transfer);
  const auto c = expect_next(transfer);
  transfer.complete(b.slot, -EIO);
  expect_none(transfer);
  EXPECT_FALSE(transfer.done());
  transfer.complete(a.slot, -ENOMEM);
  transfer.complete(c.slot, 17);  // short, and not continued any more
  expect_none(transfer);
  EXPECT_TRUE(transfer.done());
  EXPECT_EQ(transfer.outcome().error, EIO);
}

TEST_F(TransferTest, nothing_to_move_is_done_at_once) {
  const std::vector<IoPiece> pieces{piece(0, 0)};
  Transfer transfer(IoDirection::read, pieces, 3, request_bytes, 1);
  EXPECT_TRUE(transfer.done());
  expect_none(transfer);
}

}  // namespace
}  // namespace strictsend::pagecache
