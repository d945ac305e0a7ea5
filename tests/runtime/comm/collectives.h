// What every communicator promises, as one function per promise: run by ranks as threads and by ranks under mpirun.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/base/error.h"
#include "runtime/comm/communicator.h"

namespace tranche::testing {

// Different for every rank, destination and position.
inline std::byte pattern(std::size_t from, std::size_t to, std::size_t i) {
  return static_cast<std::byte>(from * 91 + to * 37 + i * 7 + i / 251);
}

inline const std::vector<std::size_t> row_sizes{0, 1, 3, 64, 1000, 4099, 300'001};

inline void gathers_every_rank_s_row(Communicator& world) {
  for (const std::size_t bytes : row_sizes) {
    std::vector<std::byte> mine(bytes), all(bytes * world.size());
    for (std::size_t i = 0; i < bytes; ++i) mine[i] = pattern(world.rank(), 0, i);
    world.all_gather(mine, all, "rows").wait();
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      for (std::size_t i = 0; i < bytes; ++i)
        ASSERT_EQ(all[rank * bytes + i], pattern(rank, 0, i)) << "row " << rank << " byte " << i << " of " << bytes;
  }
}

inline void gathers_in_place(Communicator& world) {
  const std::size_t bytes = 5003;
  std::vector<std::byte> all(bytes * world.size());
  const std::span mine = std::span{all}.subspan(world.rank() * bytes, bytes);
  for (std::size_t i = 0; i < bytes; ++i) mine[i] = pattern(world.rank(), 1, i);
  world.all_gather(mine, all, "in place").wait();
  for (std::size_t rank = 0; rank < world.size(); ++rank)
    for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(all[rank * bytes + i], pattern(rank, 1, i));
}

inline void exchanges_rows_in_rank_order(Communicator& world) {
  for (const std::size_t bytes : row_sizes) {
    std::vector<std::byte> mine(bytes * world.size());
    for (std::size_t to = 0; to < world.size(); ++to)
      for (std::size_t i = 0; i < bytes; ++i) mine[to * bytes + i] = pattern(world.rank(), to, i);
    std::vector<std::size_t> order;
    world
        .exchange(
            mine,
            [&](std::size_t from, std::span<const std::byte> row) {
              order.push_back(from);
              ASSERT_EQ(row.size(), bytes);
              for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(row[i], pattern(from, world.rank(), i));
            },
            "rows")
        .wait();
    std::vector<std::size_t> expected(world.size());
    std::iota(expected.begin(), expected.end(), std::size_t{0});
    EXPECT_EQ(order, expected);
  }
}

// Whole numbers: their sum is the same in any order.
inline void reduces_to_the_sum_of_rows(Communicator& world) {
  constexpr std::size_t count = 1001;
  std::vector<float> mine(count * world.size()), sum(count);
  std::iota(mine.begin(), mine.end(), static_cast<float>(1000 * world.rank()));
  world
      .reduce(
          std::as_bytes(std::span{mine}), DType::float32,
          [&](std::size_t, std::span<const std::byte> row) {
            std::vector<float> came(count);
            ASSERT_EQ(row.size(), count * sizeof(float));
            std::memcpy(came.data(), row.data(), row.size());
            for (std::size_t i = 0; i < count; ++i) sum[i] += came[i];
          },
          "numbers")
      .wait();
  const std::size_t ranks = world.size(), first = 1000 * ranks * (ranks - 1) / 2;
  for (std::size_t i = 0; i < count; ++i)
    ASSERT_EQ(sum[i], static_cast<float>(first + ranks * (world.rank() * count + i)));
}

inline void broadcasts_from_every_root(Communicator& world) {
  for (const std::size_t bytes : row_sizes)
    for (std::size_t root = 0; root < world.size(); ++root) {
      std::vector<std::byte> data(bytes);
      if (world.rank() == root)
        for (std::size_t i = 0; i < bytes; ++i) data[i] = pattern(root, 2, i);
      world.broadcast(data, root, "data").wait();
      for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(data[i], pattern(root, 2, i));
    }
}

// Many in flight: they complete in the order of issue, and nothing of one reaches another.
inline void runs_collectives_behind_the_caller(Communicator& world) {
  constexpr std::size_t calls = 40, bytes = 777;
  std::vector<std::vector<std::byte>> mine(calls), all(calls);
  std::vector<Event> events;
  std::vector<std::size_t> finished;
  for (std::size_t call = 0; call < calls; ++call) {
    all[call].resize(bytes * world.size());
    if (call % 2 == 0) {
      mine[call].assign(bytes, pattern(world.rank(), call, 0));
      events.push_back(world.all_gather(mine[call], all[call], "one of many"));
    } else {
      mine[call].assign(bytes * world.size(), pattern(world.rank(), call, 0));
      events.push_back(world.exchange(
          mine[call],
          [&, call](std::size_t from, std::span<const std::byte> row) {
            std::ranges::copy(row, all[call].begin() + static_cast<long>(from * bytes));
            if (from == 0) finished.push_back(call);
          },
          "one of many"));
    }
  }
  events.back().wait();
  for (std::size_t call = 0; call < calls; ++call) {
    EXPECT_TRUE(events[call].happened()) << call;
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      for (std::size_t i = 0; i < bytes; ++i) ASSERT_EQ(all[call][rank * bytes + i], pattern(rank, call, 0));
  }
  EXPECT_EQ(finished.size(), calls / 2);
  EXPECT_TRUE(std::ranges::is_sorted(finished));
}

inline void gathers_different_counts(Communicator& world) {
  for (const std::size_t scale : {0u, 1u, 100u}) {
    std::vector<double> mine(world.rank() * scale + (world.rank() == 2 ? 0 : 1),
                             0.1 + static_cast<double>(world.rank()));
    std::vector<double> expected;
    for (std::size_t rank = 0; rank < world.size(); ++rank)
      expected.insert(expected.end(), rank * scale + (rank == 2 ? 0 : 1), 0.1 + static_cast<double>(rank));
    EXPECT_EQ(world.gather(mine, "counts"), expected);
  }
}

inline void gathers_texts(Communicator& world) {
  for (const std::size_t scale : {0u, 10u, 5000u}) {
    const auto text = [&](std::size_t rank) { return std::string(rank * scale, static_cast<char>('a' + rank)); };
    const std::vector<std::string> all = world.gather_text(text(world.rank()), "texts");
    ASSERT_EQ(all.size(), world.size());
    for (std::size_t rank = 0; rank < world.size(); ++rank) EXPECT_EQ(all[rank], text(rank));
  }
}

inline void agrees_only_if_all_do(Communicator& world) {
  EXPECT_TRUE(world.all_agree(true, "vote"));
  EXPECT_FALSE(world.all_agree(false, "vote"));
  for (std::size_t rank = 0; rank < world.size(); ++rank) EXPECT_FALSE(world.all_agree(rank != world.rank(), "vote"));
  world.barrier("end");
}

inline void records_what_was_issued(Communicator& world) {
  const std::size_t others = world.size() - 1;
  std::vector<std::byte> row(100), rows(100 * world.size());
  world.all_gather(row, rows, "first").wait();
  world
      .exchange(
          rows, [](std::size_t, std::span<const std::byte>) {}, "second")
      .wait();
  world.broadcast(row, 0, "third").wait();
  const std::vector<CollectiveRecord> records = world.records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].op, "all_gather");
  EXPECT_EQ(records[1].label, "second");
  EXPECT_EQ(records[2].sequence, 2u);
  EXPECT_EQ(records[0].bytes, 100 * others);
  EXPECT_EQ(world.traffic().at("exchange").bytes, 100 * others);
  EXPECT_EQ(world.traffic().at("broadcast").bytes, world.rank() == 0 ? 100 * others : 0);
  EXPECT_EQ(world.traffic().at("broadcast").count, 1u);
}

inline void keeps_the_newest_records(Communicator& world) {
  for (std::size_t i = 0; i < Communicator::history + 5; ++i) world.all_gather({}, {}, "empty").wait();
  const std::vector<CollectiveRecord> records = world.records();
  ASSERT_EQ(records.size(), Communicator::history);
  EXPECT_EQ(records.front().sequence, 5u);
  EXPECT_EQ(records.back().sequence, Communicator::history + 4);
}

// Every rank's error names both collectives, and later ones fail too.
inline void reports_ranks_in_different_collectives(Communicator& world) {
  if (world.size() == 1) return;
  std::vector<std::byte> row(8), rows(8 * world.size());
  world.all_gather(row, rows, "agreed").wait();
  const Event event = world.rank() == 0 ? world.all_gather(row, rows, "blocks.7")
                                        : world.exchange(
                                              rows, [](auto, auto) { FAIL() << "consumed"; }, "blocks.6");
  for (int time = 0; time < 2; ++time) try {
      time == 0 ? event.wait() : world.barrier("later");
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.exit(), Exit::ranks);
      EXPECT_NE(text.find("rank 0: number 1, all_gather of blocks.7, 8 bytes"), std::string::npos) << text;
      EXPECT_NE(text.find("rank 1: number 1, exchange of blocks.6"), std::string::npos) << text;
    }
}

inline void reports_different_sizes(Communicator& world) {
  if (world.size() == 1) return;
  const std::size_t bytes = world.rank() == 1 ? 24 : 16;
  std::vector<std::byte> row(bytes), rows(bytes * world.size());
  try {
    world.all_gather(row, rows, "embedding").wait();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string{error.what()}.find("rank 1: number 0, all_gather of embedding, 24 bytes"), std::string::npos)
        << error.what();
  }
}

}  // namespace tranche::testing
