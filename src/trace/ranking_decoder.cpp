#include "trace/ranking_decoder.h"

namespace kvplace {
namespace {

bool decode_entry(VarintReader& in, OpenRanking& open) {
  const std::uint64_t code = in.next();
  if (code == 0) {
    const std::uint64_t id = in.next();
    if (id >= open.num_blocks) {
      return false;
    }
    open.ranking[open.rank++] = BlockId(static_cast<std::uint32_t>(id));
    return true;
  }
  const std::uint64_t from = static_cast<std::uint64_t>(unzigzag(code - 1)) + open.rank;
  if (from >= open.num_before) {
    return false;
  }
  open.ranking[open.rank++] = open.before[from];
  return true;
}

}  // namespace

bool decode_ranking(VarintReader& in, std::uint32_t num_blocks, RankingKernel kernel, RankingPlace& previous,
                    std::vector<BlockId>& out) {
  const std::uint64_t count = in.next();
  if (count > in.left()) {  // each takes a byte or more
    return false;
  }
  OpenRanking open;
  open.num_blocks = num_blocks;
  open.num_before = previous.size;
  open.num_ranks = count;
  const std::size_t begin = out.size();
  out.resize(begin + count);
  open.before = out.data() + previous.begin;
  open.ranking = out.data() + begin;
  while (open.rank < count) {
    if (kernel != nullptr) {
      open.bytes = in.at();
      open.bytes_end = open.bytes + in.left();
      kernel(open);
      in.take(static_cast<std::uint64_t>(open.bytes - in.at()));
    }
    // Whatever is next is not for the kernel; it goes on behind that.
    if (open.rank < count && !decode_entry(in, open)) {
      return false;
    }
  }
  previous = {begin, count};
  return in.ok();
}

}  // namespace kvplace
