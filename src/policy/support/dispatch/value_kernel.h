/// The flagship's pass over a layer's blocks that are near: what they are remembered by moves on by a step, and each
/// gets its score and its value, the ln of the chance that it is read soon (read_chance.h).
///
/// Compiled for several instruction sets; all give the same bits, since the operations and their order are the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvplace {

constexpr std::size_t kScoreBins = 64;
constexpr float kLowestScore = -10;
constexpr float kScoreBinsPerUnit = 4;

/// Where a rank's bin is in the word that also holds its x: in the lowest bits (value_slots.h).
constexpr std::uint32_t kRankBinBits = 15;
/// The bin of a block that is not among the ranked; by reads, none is.
constexpr std::uint8_t kUnranked = 9;
/// Steps since the last read count no further, nor do bits of a block's age in tokens.
constexpr std::uint32_t kMostUnread = 63;
constexpr std::uint32_t kMostAgeBits = 20;
/// The first tokens of a text are told apart by their position, not by their age.
constexpr std::uint32_t kSinkTokens = 8;
constexpr std::uint32_t kSinkAge = 31;

/// What ReadChance says, by what a pass sees of a block. All are ln of factors of a chance.
struct ChanceTables {
  float of_score[kScoreBins] = {};        ///< at the middle of a bin of the score
  float rise[kScoreBins] = {};            ///< from there to the middle of the next
  float of_rank[kRankBinBits + 1] = {};   ///< by the rank's bin
  float of_unread[kMostUnread + 1] = {};  ///< by the steps since the last read
  float of_age[kSinkAge + 1] = {};        ///< by the bits of its age in tokens; of the first tokens the last
};

/// The least chance is 0.3 / (kRareSteps + steps since the last read).
constexpr float kLogRareReads = -1.2039728F;
constexpr float kRareSteps = 30;

/// A layer's blocks side by side. All arrays go on, up to a multiple of kValueLanes, with whatever numbers.
constexpr std::size_t kValueLanes = 16;
struct ValueBatch {
  std::size_t count = 0;
  float* first = nullptr;  ///< the four of BlockHistory
  float* second = nullptr;
  float* reads_20 = nullptr;
  float* reads_100 = nullptr;
  float* since = nullptr;                 ///< steps since the last read, as counted near; by reads only
  float* read = nullptr;                  ///< 1 if read in this step; 0 afterwards
  const std::uint32_t* ranks = nullptr;   ///< x with the bin of the rank in its lowest bits
  const std::uint32_t* tokens = nullptr;  ///< each block's first
  const std::int32_t* last_reads = nullptr;
  float* scores = nullptr;
  float* values = nullptr;
  float frequency = 1;             ///< weight of how often blocks were read
  std::int32_t now = 0;            ///< what last_reads is of a block read in this step
  std::uint32_t newest_token = 0;  ///< of the text so far
  const ChanceTables* chances = nullptr;
};

struct LowestValues {
  std::size_t count = 0;
  float last = 0;  ///< the highest of them
};

struct ValueKernel {
  const char* name;
  /// Values behind the last block's are infinite afterwards.
  void (*by_ranks)(const ValueBatch& batch);
  void (*by_reads)(const ValueBatch& batch);
  /// Of the values below `limit` the lowest, at most so many; of equals the first. Writes their places, the lowest
  /// first, and infinity in their stead. A pass for each, so for few. `values` go on as those of a batch do.
  LowestValues (*take_lowest)(float* values, std::size_t count, float limit, std::size_t most, std::uint32_t* places);
};

/// Those that this processor can run, the fastest first.
[[nodiscard]] std::span<const ValueKernel> value_kernels();

}  // namespace kvplace
