// Memories of the runtime: what was written is what is read, limits are hard, and what goes wrong is said.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "kvplace/runtime/memory.h"
#include "support/disk_dir.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kPieceBytes = 8192;

struct Freed {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};
using Buffer = std::unique_ptr<std::byte, Freed>;

Buffer make_buffer(std::size_t bytes) {
  constexpr std::size_t kAligned = 4096;
  return Buffer(static_cast<std::byte*>(std::aligned_alloc(kAligned, bytes)));
}

/// Waits for so many pieces.
Result<std::vector<std::uint64_t>> collect_all(Memory& memory, std::size_t count) {
  std::vector<std::uint64_t> complete;
  while (complete.size() < count) {
    KVPLACE_TRY(memory.collect(complete, true));
  }
  return complete;
}

void write_and_read_back(Memory& memory) {
  constexpr std::size_t kPieces = 100;
  const Buffer written = make_buffer(kPieces * kPieceBytes);
  const Buffer read = make_buffer(kPieces * kPieceBytes);
  std::mt19937 random(3);
  std::generate_n(written.get(), kPieces * kPieceBytes, [&] { return static_cast<std::byte>(random()); });
  std::vector<std::uint32_t> places(kPieces);
  std::iota(places.begin(), places.end(), 0U);
  for (const Direction direction : {Direction::kWrite, Direction::kRead}) {
    std::shuffle(places.begin(), places.end(), random);
    std::vector<Piece> pieces;
    for (const std::uint32_t place : places) {
      std::byte* const buffer = (direction == Direction::kWrite ? written : read).get() + place * kPieceBytes;
      pieces.push_back({direction, std::uint64_t{place} * kPieceBytes, buffer, kPieceBytes, place});
    }
    ASSERT_TRUE(memory.submit(pieces));
    Result<std::vector<std::uint64_t>> complete = collect_all(memory, kPieces);
    ASSERT_TRUE(complete) << complete.error().message;
    std::sort(complete->begin(), complete->end());
    for (std::size_t i = 0; i < kPieces; ++i) {
      EXPECT_EQ((*complete)[i], i);
    }
    EXPECT_EQ(memory.in_flight(), 0U);
  }
  EXPECT_TRUE(std::equal(written.get(), written.get() + kPieces * kPieceBytes, read.get()));
  std::vector<std::uint64_t> none;
  EXPECT_TRUE(memory.collect(none, true));  // nothing is on its way: nothing to wait for
  EXPECT_TRUE(none.empty());
}

constexpr Bytes kMemoryBytes{std::int64_t{1} << 20};

TEST(Memory, DramKeepsWhatIsWritten) {
  const MemoryPtr memory = make_dram_memory(kMemoryBytes).value();
  write_and_read_back(*memory);
  EXPECT_NE(memory->address(), nullptr);
  EXPECT_EQ(memory->room(), kMemoryBytes);
}

TEST(Memory, DramBeyondTheMachineIsRefused) {
  for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{1} << 50}) {
    const Result<MemoryPtr> memory = make_dram_memory(Bytes(bytes));
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().kind, ErrorKind::kBadInput);
  }
}

TEST(Memory, NumaNodesAreThoseOfTheMachine) {
  const Result<MemoryPtr> memory = make_numa_memory(1000, kMemoryBytes);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(memory.error().message.find("numa:1000: this machine has "), std::string::npos) << memory.error().message;
}

TEST(Memory, PacedKeepsWhatIsWrittenAndItsPace) {
  const MemoryPtr memory =
      make_paced_memory({BytesPerSecond(200e6), Seconds(1e-3), Seconds(10e-6)}, kMemoryBytes).value();
  write_and_read_back(*memory);
  const Buffer buffer = make_buffer(kMemoryBytes.value());
  constexpr std::size_t kPieces = 128;
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < kPieces; ++i) {
    pieces.push_back({Direction::kRead, i * kPieceBytes, buffer.get() + i * kPieceBytes, kPieceBytes, i});
  }
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(memory->submit(pieces));
  const std::vector<std::uint64_t> complete = collect_all(*memory, kPieces).value();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_TRUE(std::is_sorted(complete.begin(), complete.end()));
  const double least = kPieces * (kPieceBytes / 200e6 + 10e-6) + 1e-3;
  EXPECT_GE(seconds, least);
  EXPECT_LE(seconds, least * 3);  // on a busy machine
}

TEST(Memory, FileKeepsWhatIsWrittenEveryWay) {
  const testing::DiskDir folder;
  for (const bool page_cache : {false, true}) {
    for (const bool threads : {false, true}) {
      for (const std::uint32_t depth : {1U, 7U, 256U}) {
        const std::string path = folder.path("far");
        {
          const MemoryPtr memory = make_file_memory({path, depth, page_cache, threads}, kMemoryBytes).value();
          write_and_read_back(*memory);
          const bool says_so = !memory->notes().empty() && memory->notes()[0].find("page cache") != std::string::npos;
          EXPECT_EQ(says_so, page_cache);
          EXPECT_LE(std::filesystem::file_size(path), static_cast<std::size_t>(kMemoryBytes.value()));
        }
        EXPECT_FALSE(std::filesystem::exists(path));
      }
    }
  }
  EXPECT_TRUE(std::filesystem::is_empty(std::filesystem::path(folder.path("far")).parent_path()));
}

TEST(Memory, AFileIsOfOneRunOnly) {
  const testing::DiskDir folder;
  const MemoryPtr first = make_file_memory({.path = folder.path("far")}, kMemoryBytes).value();
  std::filesystem::create_symlink(folder.path("far"), folder.path("link"));
  for (const char* name : {"far", "link"}) {
    const Result<MemoryPtr> second = make_file_memory({.path = folder.path(name)}, kMemoryBytes);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, ErrorKind::kFailed);
    EXPECT_NE(second.error().message.find("being written already"), std::string::npos) << second.error().message;
  }
}

TEST(Memory, AFileOfSomebodyElseStaysAsItIs) {
  const testing::DiskDir folder;
  const testing::TempDir temporary;
  const std::string text(5000, 'x');
  const std::string path = temporary.write("mine.txt", text);
  std::filesystem::copy_file(path, folder.path("mine.txt"));
  const Result<MemoryPtr> memory = make_file_memory({.path = folder.path("mine.txt")}, kMemoryBytes);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(testing::TempDir::read(folder.path("mine.txt")), text);
}

TEST(Memory, AFileThatAKilledRunLeftIsTakenOver) {
  const testing::DiskDir folder;
  const std::string path = folder.path("far");
  const pid_t child = fork();
  if (child == 0) {
    const Result<MemoryPtr> memory = make_file_memory({.path = path}, kMemoryBytes);
    kill(getpid(), memory ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  ASSERT_TRUE(std::filesystem::exists(path));
  const MemoryPtr memory = make_file_memory({.path = path}, kMemoryBytes).value();
  write_and_read_back(*memory);
}

TEST(Memory, ATmpfsIsRefused) {
  const std::string path = "/dev/shm/kvplace-test-far";
  if (!std::filesystem::exists("/dev/shm")) {
    GTEST_SKIP() << "no /dev/shm";
  }
  const Result<MemoryPtr> memory = make_file_memory({.path = path}, kMemoryBytes);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(memory.error().message.find("tmpfs"), std::string::npos) << memory.error().message;
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Memory, AFullDiskIsSaidAtOnce) {
  const testing::DiskDir folder;
  struct rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 1 << 16;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const Result<MemoryPtr> memory = make_file_memory({.path = folder.path("far")}, kMemoryBytes);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().kind, ErrorKind::kFailed);
  EXPECT_NE(memory.error().message.find("cannot be reserved"), std::string::npos) << memory.error().message;
  EXPECT_FALSE(std::filesystem::exists(folder.path("far")));
}

TEST(Memory, AFileThatWasCutGivesAnErrorAndThenNothingElse) {
  const testing::DiskDir folder;
  for (const bool threads : {false, true}) {
    const std::string path = folder.path("far");
    const MemoryPtr memory = make_file_memory({.path = path, .threads = threads}, kMemoryBytes).value();
    std::filesystem::resize_file(path, 4096 + 10 * kPieceBytes + kPieceBytes / 2);
    const Buffer buffer = make_buffer(std::size_t{20} * kPieceBytes);
    std::vector<Piece> pieces;
    for (std::uint32_t i = 0; i < 20; ++i) {
      pieces.push_back(
          {Direction::kRead, std::uint64_t{i} * kPieceBytes, buffer.get() + i * kPieceBytes, kPieceBytes, i});
    }
    ASSERT_TRUE(memory->submit(pieces));
    const Result<std::vector<std::uint64_t>> complete = collect_all(*memory, 20);
    ASSERT_FALSE(complete);
    EXPECT_NE(complete.error().message.find("the file ends there"), std::string::npos) << complete.error().message;
    EXPECT_FALSE(memory->submit(std::span(pieces).first(1)));
  }
}

TEST(Memory, WordsForMemories) {
  EXPECT_EQ(make_memory("dram", kMemoryBytes).value()->name(), "dram");
  EXPECT_EQ(make_memory("paced:2GB/s,latency=20us,piece=5us", kMemoryBytes).value()->name(), "paced:2GB/s");
  for (const char* text : {"", "ram", "paced", "paced:", "paced:2", "paced:0GB/s", "paced:2GB/s,depth=3us",
                           "paced:2GB/s,latency=20", "numa:x", "file:"}) {
    const Result<MemoryPtr> memory = make_memory(text, kMemoryBytes);
    ASSERT_FALSE(memory) << text;
    EXPECT_EQ(memory.error().kind, ErrorKind::kBadInput) << text;
  }
}

TEST(Memory, SlotsFillItsCapacityAndNoMore) {
  const MemoryPtr memory = make_dram_memory(Bytes(100000)).value();
  Slots slots(*memory, Bytes(1000));
  EXPECT_EQ(slots.stride(), 1024U);
  EXPECT_EQ(slots.count(), 100000U / 1028U);  // a slot and its place in the list
  EXPECT_EQ(Slots::capacity_for(97, Bytes(1000), memory->alignment(), Bytes(0)), Bytes(97 * 1028));
  std::vector<bool> taken(slots.count());
  while (slots.num_free() > 0) {
    const std::uint32_t slot = slots.take();
    ASSERT_FALSE(taken[slot]);
    ASSERT_LE(slots.offset(slot) + slots.stride(), 100000U);
    taken[slot] = true;
  }
  slots.give(5);
  EXPECT_EQ(slots.take(), 5U);
}

}  // namespace
}  // namespace kvplace
