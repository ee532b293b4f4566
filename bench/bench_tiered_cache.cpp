// The cache in two memories beside what it is made of: attention with all pages near, the link alone, copying first and
// then attending, and a plain io_uring reader of a file. Each step reads 64 random pages of a long context, of which a
// share is far. What is compared runs in turns; figures are medians.
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "checked.h"
#include "kvplace/runtime/tiered_cache.h"
#include "support/paper_machine.h"

namespace kvplace {
namespace {

constexpr AttentionShape kShape{32, 8, 128, 16, KvType::kBfloat16};
constexpr std::uint32_t kTokens = 262144;
constexpr std::uint32_t kPages = kTokens / 16;
constexpr std::uint32_t kPageBytes = 65536;
constexpr std::uint32_t kSteps = 100;
constexpr std::uint32_t kPagesOfStep = 64;
constexpr std::uint32_t kDepth = 16;
constexpr int kRuns = 5;

using Reads = std::vector<std::vector<std::uint32_t>>;  // pages of each step

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string path_of(const char* name) { return (std::filesystem::current_path() / name).string(); }

/// Whatever comes near first stays: the first pages.
std::uint32_t near_pages(double share) { return static_cast<std::uint32_t>(share * kPages); }

class Cache {
 public:
  Cache(double near_share, const std::string& far)
      : options_(options_of(near_share)),
        cache_(
            checked(TieredCache::make(options_, checked(make_memory(far, TieredCache::far_capacity(options_, 4096)))))),
        queries_(kShape.query_heads * kShape.head_dim, 0.01F),
        out_(queries_.size()) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> tokens(64 * 1024);
    std::generate(tokens.begin(), tokens.end(), [&] { return normal(random); });
    for (std::uint32_t first = 0; first < kTokens; first += 64) {
      checked(cache_.append(LayerIndex(0), 0, tokens, tokens));
      checked(cache_.attend(LayerIndex(0), {}, {}, {}));
    }
    checked(cache_.settle());
  }

  /// Seconds of a step.
  double run(const Reads& reads) {
    const double begin = now_s();
    for (const std::vector<std::uint32_t>& pages : reads) {
      const RequestStep step{0, queries_, pages, 0};
      checked(cache_.attend(LayerIndex(0), {&step, 1}, {}, out_));
    }
    return (now_s() - begin) / static_cast<double>(reads.size());
  }

  [[nodiscard]] CacheStatistics statistics() const { return cache_.statistics(); }

 private:
  static TieredCacheOptions options_of(double near_share) {
    TieredCacheOptions options;
    options.shape = kShape;
    options.most_tokens = kTokens + 1;
    options.near_pages_capacity = Bytes(std::int64_t{kPageBytes} * near_pages(near_share));
    options.hardware = testing::paper_machine();
    options.policy = checked(PolicyRegistry::instance().parse("static"));
    return options;
  }

  TieredCacheOptions options_;
  TieredCache cache_;
  std::vector<float> queries_;
  std::vector<float> out_;
};

/// Without overlap: all far pages of a step arrive, then all pages are attended over. The same memories and kernels.
class CopyThenAttend {
 public:
  CopyThenAttend(double near_share, const std::string& far)
      : near_pages_(near_pages(near_share)),
        near_(checked(make_dram_memory(Bytes(std::int64_t{kPageBytes} * (near_pages_ + kPagesOfStep))))),
        far_(checked(make_memory(far, Bytes(std::int64_t{kPageBytes} * (kPages - near_pages_) + 4096)))),
        attention_(kShape, 1 / std::sqrt(static_cast<float>(kShape.head_dim))),
        queries_(kShape.query_heads * kShape.head_dim, 0.01F),
        out_(queries_.size()) {
    far_->keep_pace(false);
    for (std::uint32_t page = 0; page < kPages - near_pages_; page += kDepth) {  // what was never written is not read
      std::vector<Piece> pieces;
      for (std::uint32_t i = page; i < std::min(kPages - near_pages_, page + kDepth); ++i) {
        pieces.push_back({Direction::kWrite, std::uint64_t{i} * kPageBytes, near_->address(), kPageBytes, i});
      }
      move(pieces);
    }
    far_->keep_pace(true);
  }

  double run(const Reads& reads) {
    const double begin = now_s();
    for (const std::vector<std::uint32_t>& pages : reads) {
      selected_.clear();
      std::vector<Piece> pieces;
      for (const std::uint32_t page : pages) {
        std::byte* frame = near_->address() + std::size_t{page} * kPageBytes;
        if (page >= near_pages_) {
          frame = near_->address() + (near_pages_ + pieces.size()) * kPageBytes;
          pieces.push_back(
              {Direction::kRead, std::uint64_t{page - near_pages_} * kPageBytes, frame, kPageBytes, pieces.size()});
        }
        selected_.push_back({frame, 0, kShape.page_tokens});
      }
      move(pieces);
      attention_.start(queries_, selected_.size());
      for (std::size_t group = 0; group < attention_.num_groups(); ++group) {
        const std::size_t next = attention_.end_page(group);
        attention_.compute(group, selected_, next < selected_.size() ? selected_[next].data : nullptr);
      }
      attention_.finish({}, out_);
    }
    return (now_s() - begin) / static_cast<double>(reads.size());
  }

 private:
  void move(const std::vector<Piece>& pieces) {
    checked(far_->submit(pieces));
    std::vector<std::uint64_t> complete;
    while (complete.size() < pieces.size()) {
      checked(far_->collect(complete, true));
    }
  }

  std::uint32_t near_pages_;
  MemoryPtr near_;
  MemoryPtr far_;
  DecodeAttention attention_;
  std::vector<float> queries_;
  std::vector<float> out_;
  std::vector<SelectedPage> selected_;
};

/// Nothing but io_uring: the pages of a step of a file, as many at a time as the cache has on their way.
class PlainReader {
 public:
  explicit PlainReader(const std::string& path)
      : file_(open(path.c_str(), O_RDONLY | O_DIRECT)),
        buffer_(checked(make_dram_memory(Bytes(std::int64_t{kPageBytes} * kPagesOfStep)))) {
    if (file_ < 0 || io_uring_queue_init(kDepth, &ring_, 0) != 0) {
      std::fprintf(stderr, "%s cannot be read by io_uring\n", path.c_str());
      std::exit(1);
    }
  }
  PlainReader(const PlainReader&) = delete;
  PlainReader& operator=(const PlainReader&) = delete;
  ~PlainReader() {
    io_uring_queue_exit(&ring_);
    close(file_);
  }

  double run(const Reads& reads) {
    const double begin = now_s();
    for (const std::vector<std::uint32_t>& pages : reads) {
      std::size_t sent = 0;
      for (std::size_t done = 0; done < pages.size(); ++done) {
        for (; sent < pages.size() && sent < done + kDepth; ++sent) {
          io_uring_prep_read(io_uring_get_sqe(&ring_), file_, buffer_->address() + sent * kPageBytes, kPageBytes,
                             4096 + std::uint64_t{pages[sent]} * kPageBytes);
        }
        io_uring_cqe* cqe = nullptr;
        if (io_uring_submit_and_wait(&ring_, 1) < 0 || io_uring_peek_cqe(&ring_, &cqe) != 0 ||
            cqe->res != static_cast<int>(kPageBytes)) {
          std::fprintf(stderr, "a page cannot be read\n");
          std::exit(1);
        }
        io_uring_cqe_seen(&ring_, cqe);
      }
    }
    return (now_s() - begin) / static_cast<double>(reads.size());
  }

 private:
  int file_;
  io_uring ring_{};
  MemoryPtr buffer_;
};

Reads random_reads() {
  std::mt19937 random(3);
  Reads reads(kSteps);
  for (std::vector<std::uint32_t>& pages : reads) {
    while (pages.size() < kPagesOfStep) {
      const auto page = static_cast<std::uint32_t>(random() % kPages);
      if (std::find(pages.begin(), pages.end(), page) == pages.end()) {
        pages.push_back(page);
      }
    }
    std::sort(pages.begin(), pages.end());
  }
  return reads;
}

/// Medians of seconds of a step, of several in turns.
template <class... Runs>
std::vector<double> in_turns(const Reads& reads, Runs&... runs) {
  std::vector<std::vector<double>> times(sizeof...(runs));
  (runs.run(reads), ...);
  for (int i = 0; i < kRuns; ++i) {
    std::size_t which = 0;
    (times[which++].push_back(runs.run(reads)), ...);
  }
  std::vector<double> medians;
  std::transform(times.begin(), times.end(), std::back_inserter(medians), median);
  return medians;
}

void far_only(const Reads& reads) {
  const std::string path = path_of("kvplace-bench-far");
  Cache cache(0, "file:" + path);
  PlainReader plain(path);
  const std::vector<double> times = in_turns(reads, cache, plain);
  const double bytes = double{kPageBytes} * kPagesOfStep;
  std::printf(
      "\nall far, in a file: %.2f GB/s with attention; a plain io_uring reader of the same pages %.2f GB/s: %.1f %%\n",
      bytes / times[0] * 1e-9, bytes / times[1] * 1e-9, 100 * times[1] / times[0]);
}

void both_at_once(const Reads& reads, Cache& near) {
  std::printf("\n%-12s %6s %11s %11s %11s %14s %14s %16s %8s\n", "far", "near", "step", "near alone", "far alone",
              "of the longer", "copied first", "gain (predicted)", "policy");
  for (const auto& [far, rate] : {std::pair{"paced:500MB/s", 5e8}, std::pair{"paced:2GB/s", 2e9}}) {
    for (const double share : {0.9, 0.75, 0.5}) {
      Cache both(share, far);
      CopyThenAttend copied(share, far);
      const CacheStatistics before = both.statistics();
      const std::vector<double> times = in_turns(reads, both, copied, near);
      const CacheStatistics after = both.statistics();
      const double steps = static_cast<double>(after.steps - before.steps);
      const double far_pages = static_cast<double>(after.far_reads - before.far_reads) / steps;
      const double far_alone = far_pages * kPageBytes / rate;
      const double longer = std::max(times[2], far_alone);
      std::printf("%-12s %5.0f%% %8.1f us %8.1f us %8.1f us %13.1f%% %11.1f us %7.2f (%.2f) %7.1f%%\n", far,
                  100 * (1 - far_pages / kPagesOfStep), times[0] * 1e6, times[2] * 1e6, far_alone * 1e6,
                  100 * times[0] / longer, times[1] * 1e6, times[1] / times[0], (times[2] + far_alone) / longer,
                  100 * (after.placing.value() - before.placing.value()) / (times[0] * steps));
    }
  }
}

}  // namespace
}  // namespace kvplace

int main() {
  using namespace kvplace;
  const Reads reads = random_reads();
  std::printf(
      "bf16, 32 query heads on 8 of 128, pages of 64 KiB, 64 a step of %u (1 GiB), one thread, %d runs in turns\n",
      kPages, kRuns);
  {
    Cache near(1, "dram");
    both_at_once(reads, near);
  }
  far_only(reads);
  return 0;
}
