// What goes wrong on the way to a file: transfers in parts, errors of the device, a disk without room, an early end.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kvplace/runtime/memory.h"
#include "runtime/memory/uring_queue.h"
#include "support/disk_dir.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kFaultPiece = 16384;
constexpr std::uint32_t kPart = 4096;

std::vector<std::byte> some_bytes(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<std::byte>(i * 31 + i / 251);
  }
  return bytes;
}

/// A pipe that holds kPart bytes: whatever is larger moves in parts.
struct Pipe {
  Pipe() {
    EXPECT_EQ(pipe2(ends.data(), O_NONBLOCK), 0);
    EXPECT_EQ(fcntl(ends[1], F_SETPIPE_SZ, kPart), static_cast<int>(kPart));
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  std::array<int, 2> ends{};
};

/// The queue, or none where the system allows no io_uring.
std::unique_ptr<UringQueue> queue_on(int descriptor) {
  Result<std::unique_ptr<UringQueue>> queue = UringQueue::make(descriptor, 0, 4, "far");
  return queue ? std::move(*queue) : nullptr;
}

TEST(MemoryFaults, AShortReadGoesOnWithTheRest) {
  const Pipe pipe;
  const std::unique_ptr<UringQueue> queue = queue_on(pipe.ends[0]);
  if (queue == nullptr) {
    GTEST_SKIP() << "no io_uring";
  }
  const std::vector<std::byte> sent = some_bytes(kFaultPiece);
  std::vector<std::byte> got(kFaultPiece);
  const Piece piece{Direction::kRead, 0, got.data(), kFaultPiece, 7};
  std::vector<std::uint64_t> complete;
  for (std::uint32_t first = 0; first < kFaultPiece; first += kPart) {
    ASSERT_TRUE(complete.empty()) << "complete after " << first << " bytes";
    ASSERT_EQ(write(pipe.ends[1], sent.data() + first, kPart), static_cast<ssize_t>(kPart));
    if (first == 0) {
      ASSERT_TRUE(queue->submit({&piece, 1}));
    }
    for (int waits = 0; waits < 1000 && complete.empty(); ++waits) {
      ASSERT_TRUE(queue->collect(complete, false));
      int left = 0;
      ASSERT_EQ(ioctl(pipe.ends[0], FIONREAD, &left), 0);
      if (left == 0 && first + kPart < kFaultPiece) {
        break;
      }
      usleep(1000);
    }
  }
  EXPECT_EQ(complete, std::vector<std::uint64_t>{7});
  EXPECT_EQ(got, sent);
}

TEST(MemoryFaults, AShortWriteGoesOnWithTheRest) {
  const Pipe pipe;
  const std::unique_ptr<UringQueue> queue = queue_on(pipe.ends[1]);
  if (queue == nullptr) {
    GTEST_SKIP() << "no io_uring";
  }
  std::vector<std::byte> sent = some_bytes(kFaultPiece);
  std::vector<std::byte> got(kFaultPiece);
  const Piece piece{Direction::kWrite, 0, sent.data(), kFaultPiece, 8};
  std::vector<std::uint64_t> complete;
  ASSERT_TRUE(queue->submit({&piece, 1}));
  std::size_t received = 0;
  for (int waits = 0; waits < 10000 && received < kFaultPiece; ++waits) {
    ASSERT_TRUE(queue->collect(complete, false));
    EXPECT_TRUE(complete.empty() || received + kPart >= kFaultPiece);
    const ssize_t some = read(pipe.ends[0], got.data() + received, kFaultPiece - received);
    received += some > 0 ? static_cast<std::size_t>(some) : 0;
    usleep(some > 0 ? 0 : 100);
  }
  ASSERT_TRUE(queue->collect(complete, true));
  EXPECT_EQ(complete, std::vector<std::uint64_t>{8});
  EXPECT_EQ(got, sent);
}

TEST(MemoryFaults, AnErrorOfTheDeviceIsSaidAndStays) {
  const int nowhere = open("/proc/self/mem", O_RDONLY);  // nothing is mapped at 0: EIO
  ASSERT_GE(nowhere, 0);
  {
    const std::unique_ptr<UringQueue> queue = queue_on(nowhere);
    if (queue == nullptr) {
      close(nowhere);
      GTEST_SKIP() << "no io_uring";
    }
    std::vector<std::byte> got(kFaultPiece);
    const Piece piece{Direction::kRead, 0, got.data(), kFaultPiece, 0};
    ASSERT_TRUE(queue->submit({&piece, 1}));
    std::vector<std::uint64_t> complete;
    const Status status = queue->collect(complete, true);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, ErrorKind::kFailed);
    EXPECT_EQ(status.error().message, "far: 16384 bytes at 0 cannot be read: Input/output error");
    EXPECT_TRUE(complete.empty());
    EXPECT_FALSE(queue->submit({&piece, 1}));
    EXPECT_FALSE(queue->collect(complete, false));
  }
  close(nowhere);
}

TEST(MemoryFaults, ADiskWithoutRoomIsSaidBeforeItIsFilled) {
  const testing::DiskDir folder;
  const std::uintmax_t free = std::filesystem::space(folder.path("")).available;
  const Result<MemoryPtr> memory =
      make_file_memory({.path = folder.path("far")}, Bytes(static_cast<std::int64_t>(free) + (std::int64_t{1} << 40)));
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().kind, ErrorKind::kFailed);
  EXPECT_NE(memory.error().message.find("No space left on device"), std::string::npos) << memory.error().message;
  EXPECT_FALSE(std::filesystem::exists(folder.path("far")));
  EXPECT_GE(std::filesystem::space(folder.path("")).available, free / 2);
}

TEST(MemoryFaults, NothingArrivesAfterTheEnd) {
  const testing::DiskDir folder;
  constexpr std::uint32_t kPieces = 32;
  constexpr Bytes kCapacity(std::int64_t{2} << 20);
  alignas(4096) static std::array<std::byte, kPieces * kFaultPiece> buffer;
  for (const bool threads : {false, true}) {
    for (const bool paced : {false, true}) {
      MemoryPtr memory = paced
                             ? make_paced_memory({BytesPerSecond(100e6), Seconds(2e-3), Seconds(0)}, kCapacity).value()
                             : make_file_memory({.path = folder.path("far"), .threads = threads}, kCapacity).value();
      std::vector<Piece> pieces;
      for (std::uint32_t i = 0; i < kPieces; ++i) {
        pieces.push_back(
            {Direction::kRead, std::uint64_t{i} * kFaultPiece, buffer.data() + i * kFaultPiece, kFaultPiece, i});
      }
      ASSERT_TRUE(memory->submit(pieces));
      memory.reset();
      buffer.fill(std::byte{0x5a});
      usleep(5000);
      EXPECT_TRUE(std::all_of(buffer.begin(), buffer.end(), [](std::byte b) { return b == std::byte{0x5a}; }));
    }
  }
}

}  // namespace
}  // namespace kvplace
