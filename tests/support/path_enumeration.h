/// What a certificate proves, by trying everything that docs/certificate.md allows.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "bound/int128.h"
#include "support/random_certificate.h"

namespace kvplace::testing {

/// All residency paths of each block, one after the other, by the rules as docs/certificate.md states them.
class Enumeration {
 public:
  explicit Enumeration(const CertificateCase& c)
      : c_(c), n_(c.certificate.numbers), segment_(random_segment(c.shape)) {}

  Int128 ticks() {
    Int128 total = 0;
    const std::int64_t pieces = n_.capacity_bytes / common();
    std::int64_t capacity = (any() ? pieces + n_.batch - 1 : pieces) / n_.batch * (common() / unit());
    if (any() && n_.mode == Mode::kExclusive) {  // a demotion's bytes leave one by one
      capacity = (n_.capacity_bytes + n_.batch * unit() - 1) / (n_.batch * unit());
    }
    for (std::uint32_t step = 0; step < n_.steps; ++step) {
      for (std::uint32_t layer = 0; layer < n_.layers; ++layer) {
        total -= Int128{mu(step, layer)} * capacity;
      }
    }
    total -= Int128{c_.certificate.start_price} * capacity;
    for (std::size_t g = 0; g < c_.certificate.channel_prices.size(); ++g) {
      total += group(g);
    }
    for (std::uint32_t layer = 0; layer < n_.layers; ++layer) {
      for (std::uint32_t id = 0; id < n_.blocks_per_layer; ++id) {
        total += cheapest(layer, id);
      }
    }
    return total;
  }

 private:
  [[nodiscard]] std::int64_t unit() const { return c_.certificate.unit_bytes; }
  [[nodiscard]] std::uint64_t mu(std::uint32_t step, std::uint32_t layer) const {
    return c_.certificate.row_prices[step * n_.layers + layer];
  }
  [[nodiscard]] Int128 price(std::uint32_t step, std::uint32_t layer, std::size_t channel) const {
    const std::size_t group = n_.barrier == Barrier::kToken ? step : step * n_.layers + layer;
    return c_.certificate.channel_prices[group][channel];
  }
  static bool holds(std::span<const BlockId> ids, std::uint32_t id) {
    return std::find(ids.begin(), ids.end(), BlockId(id)) != ids.end();
  }
  [[nodiscard]] bool any() const { return c_.certificate.claim == Claim::kAny; }
  template <class T>
  static const T& at(const std::vector<T>& by_layer, std::uint32_t layer) {
    return by_layer.size() == 1 ? by_layer[0] : by_layer.at(layer);
  }
  [[nodiscard]] std::int64_t size(std::uint32_t layer, std::uint32_t id) const {
    return id < c_.shape.experts ? n_.expert_block_bytes : at(n_.kv_block_bytes, layer);
  }
  [[nodiscard]] std::int64_t common() const {
    std::int64_t common = n_.expert_block_bytes;
    for (const std::int64_t bytes : n_.kv_block_bytes) {
      common = std::gcd(common, bytes);
    }
    return common;
  }
  /// A unit's new KV, written to far in the step or with claim any in a later one.
  [[nodiscard]] Int128 new_kv_far(std::uint32_t step, std::uint32_t layer) const {
    Int128 least = price(step, layer, 2) + price(step, layer, 3);
    const std::size_t group = n_.barrier == Barrier::kToken ? step : step * n_.layers + layer;
    for (std::size_t g = group; any() && g < c_.certificate.channel_prices.size(); ++g) {
      const auto& prices = c_.certificate.channel_prices[g];
      least = std::min(least, Int128{prices[2]} + prices[3]);
    }
    return least;
  }
  /// Bytes read of the block in the record; 0 if it is not read.
  [[nodiscard]] std::int64_t bytes_read(const StepView& record, std::uint32_t id) const {
    const std::uint32_t layer = record.layer.value();
    for (std::size_t i = 0; i < record.reads.size(); ++i) {
      if (record.reads[i].value() == id) {
        const bool whole = record.read_bytes.empty() || record.read_bytes[i] == 0;
        return whole ? size(layer, id) : std::min(size(layer, id), std::int64_t{record.read_bytes[i]});
      }
    }
    return 0;
  }

  /// What is written to the block in the record, to which it is appended.
  [[nodiscard]] std::int64_t new_kv(const StepView& record, std::uint32_t id) const {
    const auto at_id = std::find(record.appended.begin(), record.appended.end(), BlockId(id));
    const auto i = static_cast<std::size_t>(at_id - record.appended.begin());
    const std::int64_t tokens = record.written_tokens.empty() ? 1 : record.written_tokens[i];
    const std::uint32_t layer = record.layer.value();
    return std::min(at(n_.new_kv_bytes, layer) * tokens, at(n_.kv_block_bytes, layer));
  }

  using Prices = std::array<Int128, kNumChannels>;

  /// What moves in a group whatever the placement, and what a near block could serve.
  struct GroupLoads {
    Prices fixed_bytes{};
    Int128 waiting = 0;  ///< ticks * bytes
    Int128 units_read = 0;
    bool whole_reads = true;
  };

  [[nodiscard]] GroupLoads loads(std::size_t g) const {
    GroupLoads sum;
    const std::size_t layers = n_.barrier == Barrier::kToken ? n_.layers : 1;
    for (std::size_t k = g * layers; k < (g + 1) * layers; ++k) {
      const StepView record =
          segment_.view(static_cast<std::uint32_t>(k / n_.layers), static_cast<std::uint32_t>(k % n_.layers));
      const std::uint32_t layer = record.layer.value();
      Prices bytes{};
      for (const BlockId id : record.appended) {
        bytes[0] += bytes_read(record, id.value());
        if (n_.mode == Mode::kInclusive) {
          const std::int64_t written = new_kv(record, id.value());
          bytes[0] += written;
          bytes[2] += any() ? 0 : written;
          bytes[3] += any() ? 0 : written;
          sum.waiting += any() ? n_.batch * written * new_kv_far(record.step.value(), layer) : 0;
        }
      }
      std::int64_t context = trace_tokens_;
      for (std::uint32_t before = 0; before < record.step.value(); ++before) {
        context += segment_.view(before, 0).tokens.decoded;
      }
      for (std::size_t c = 0; c < kNumChannels; ++c) {
        const FixedBytes& fixed = at(n_.fixed_bytes, layer)[c];
        sum.fixed_bytes[c] += fixed.bytes + fixed.per_token * context + n_.batch * bytes[c];
      }
      for (const BlockId id : record.reads) {
        if (!holds(record.appended, id.value())) {
          sum.units_read += bytes_read(record, id.value()) / unit();
          sum.whole_reads = sum.whole_reads && bytes_read(record, id.value()) == size(layer, id.value());
        }
      }
    }
    return sum;
  }

  [[nodiscard]] Int128 of_fixed(const Prices& prices, const GroupLoads& loads) const {
    Int128 sum = loads.waiting;
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      sum += prices[c] * loads.fixed_bytes[c];
    }
    return sum / (Int128{unit()} * n_.batch);
  }

  [[nodiscard]] Int128 whole() const { return Int128{c_.certificate.ticks_per_second} * unit() * n_.batch; }

  /// The forms of docs/certificate.md, "Whole blocks".
  [[nodiscard]] std::vector<Prices> forms() const {
    const auto& rate = n_.bandwidth_bytes_per_second;
    const Int128 one = 1 << 20;
    std::vector<Prices> forms;
    for (std::size_t i = 0; i < kNumChannels; ++i) {
      for (std::size_t j = 0; j < kNumChannels; ++j) {
        Prices form{};
        form[i] = whole() / rate[i];
        form[j] = n_.overlap == Overlap::kFull ? whole() * n_.interference_2_20 / (one * rate[j]) : whole() / rate[j];
        if (i != j && (n_.overlap == Overlap::kFull || i == 0)) {
          forms.push_back(form);
        }
      }
    }
    for (const std::size_t far : {1u, 3u}) {
      Prices form{};
      form[0] = form[far] = whole() * (one + n_.interference_2_20) / (one * (rate[0] + rate[far]));
      if (n_.overlap == Overlap::kFull && form[0] * rate[0] <= whole() && form[0] * rate[far] <= whole()) {
        forms.push_back(form);
      }
    }
    forms.emplace_back();
    return forms;
  }

  /// By trying all numbers of blocks that may come over the link.
  [[nodiscard]] Int128 credit(const Prices& a, const GroupLoads& loads, Int128 floor) const {
    const bool split = n_.mirrored_reads == MirroredReads::kSplit;
    const auto near = [&](const Prices& p) { return split ? std::min(p[0], p[1] + p[3]) : p[0]; };
    const auto far = [](const Prices& p) { return p[1] + p[3]; };
    const std::int64_t common = this->common();
    const std::int64_t largest =
        std::max(n_.expert_block_bytes, *std::max_element(n_.kv_block_bytes.begin(), n_.kv_block_bytes.end()));
    const std::int64_t most = std::int64_t{n_.barrier == Barrier::kToken ? n_.layers : 1} * n_.layers *
                              n_.blocks_per_layer * (largest / common);
    std::optional<Int128> least;
    for (std::int64_t m = 0; m <= most; ++m) {
      const Int128 moved = Int128{m} * (common / unit());
      std::optional<Int128> time;
      for (const Prices& b : forms()) {
        const bool is_floor = b == Prices{};
        Int128 excess = of_fixed(b, loads) + (is_floor ? floor : 0) - of_fixed(a, loads);
        excess += loads.units_read * (near(b) - near(a));
        // All are missed, all of these are promoted as well, or all are promoted without having been read.
        const Int128 missed = moved * (far(b) - near(b) - far(a) + near(a));
        const Int128 entered = missed + moved * (b[0] - a[0]);
        const Int128 promoted = moved * (b[0] + far(b) - a[0] - far(a));
        excess += std::min({missed, entered, promoted});
        time = time ? std::max(*time, excess) : excess;
      }
      least = least ? std::min(*least, *time) : *time;
    }
    return *least;
  }

  [[nodiscard]] Int128 group(std::size_t g) const {
    const Int128 layers = n_.barrier == Barrier::kToken ? n_.layers : 1;
    const Int128 second = Int128{1} << 60;
    Prices prices{};
    Prices m{};
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      prices[c] = c_.certificate.channel_prices[g][c];
      m[c] = prices[c] * n_.bandwidth_bytes_per_second[c];
    }
    Int128 claimed = std::max(m[0], m[1] + m[2] + m[3]);
    if (n_.overlap == Overlap::kFull) {
      const Int128 scaled = (m[0] + m[1] + m[2] + m[3]) * (1 << 20);
      const Int128 by = (1 << 20) + n_.interference_2_20;
      claimed = std::max({m[0], m[1], m[2], m[3], scaled / by + (scaled % by != 0 ? 1 : 0)});
    }
    const Int128 overhead = Int128{n_.overhead_units} * c_.certificate.ticks_per_second / second;
    const Int128 floor = layers * (Int128{n_.floor_units} * c_.certificate.ticks_per_second / second);
    const GroupLoads sums = loads(g);
    Int128 more = (whole() - claimed) * floor / whole();
    if (!any() && n_.mode == Mode::kInclusive && sums.whole_reads) {
      more = std::max(more, credit(prices, sums, floor));
    }
    return layers * overhead + of_fixed(prices, sums) + more;
  }

  enum State : std::uint8_t { kFar, kNear, kArriving };

  /// From step k on, being in state x while it runs (if the block exists by then).
  Int128 from(std::uint32_t layer, std::uint32_t id, std::uint32_t k, bool exists, State x) {
    if (k == n_.steps * n_.layers) {
      return 0;
    }
    const std::uint32_t step = k / n_.layers;
    const std::uint32_t of = k % n_.layers;
    const Int128 near = price(step, of, 0);
    const Int128 far_read = price(step, of, 1) + price(step, of, 3);
    const Int128 far_write = price(step, of, 2) + price(step, of, 3);
    const Int128 whole = size(layer, id) / unit();
    const bool exclusive = n_.mode == Mode::kExclusive;
    const StepView record = segment_.view(step, of);
    const bool appended = of == layer && holds(record.appended, id);
    const Int128 written = exclusive && appended ? new_kv(record, id) / unit() : 0;
    const bool read = of == layer && holds(record.reads, id) && !appended;
    if (!exists && !appended) {
      return from(layer, id, k + 1, false, kFar);
    }
    std::optional<Int128> best;
    for (const State next : {kFar, kNear, kArriving}) {
      if (next == kArriving && (!any() || (exists && x == kNear))) {
        continue;  // what is near has nothing to come
      }
      Int128 cost = next != kFar ? whole * mu(step, of) : 0;
      if (!exists) {
        cost += written * (next == kNear ? near : new_kv_far(step, of));
        cost += next == kArriving ? whole * (near + far_read) : 0;
      } else {
        const Int128 units = read ? bytes_read(record, id) / unit() : 0;
        const bool split = n_.mirrored_reads == MirroredReads::kSplit;
        cost += x == kNear ? units * (split ? std::min(near, far_read) : near) : units * far_read;
        cost += written * (x == kNear ? near : new_kv_far(step, of));
        if (x == kFar && next != kFar) {
          const Int128 rest = any() && units > 0 ? 0 : whole - units;
          cost += units * near + rest * (near + far_read);  // no units are read: all is promoted actively
        }
        if (x == kNear && next == kFar && exclusive) {
          cost += whole * (near + far_write);
        }
      }
      cost += from(layer, id, k + 1, true, next);
      best = best ? std::min(*best, cost) : cost;
    }
    return *best;
  }

  Int128 cheapest(std::uint32_t layer, std::uint32_t id) {
    const BlockLayout layout = meta_of(c_.shape).layout;
    if (id >= layout.initial_blocks()) {
      return from(layer, id, 0, false, kFar);
    }
    std::int64_t row = 0;
    for (std::uint32_t of = 0; of < n_.layers; ++of) {
      row += at(n_.kv_block_bytes, of);
    }
    const std::int64_t capacity = n_.capacity_bytes / common() / n_.batch * common();
    const std::int64_t places = std::min(capacity / row, std::int64_t{layout.prompt_pages()} * layout.requests);
    switch (n_.start) {
      case Start::kEmpty:
        return from(layer, id, 0, true, kFar);
      case Start::kRecent:
        return from(layer, id, 0, true,
                    std::int64_t{id} >= std::int64_t{layout.initial_blocks()} - places ? kNear : kFar);
      case Start::kFree:
        break;
    }
    return std::min(from(layer, id, 0, true, kFar),
                    from(layer, id, 0, true, kNear) + Int128{c_.certificate.start_price} * (size(layer, id) / unit()));
  }

  const CertificateCase& c_;
  const BoundNumbers& n_;
  Segment segment_;
  std::int64_t trace_tokens_ = meta_of(c_.shape).layout.prompt_tokens;
};

}  // namespace kvplace::testing
