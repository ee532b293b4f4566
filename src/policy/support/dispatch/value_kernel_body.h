/// The loops of value_kernel.h; included once per instruction set, inside an anonymous namespace and behind that set's
/// own lookup(). As many lanes as the set has: GCC 12 takes wider vectors apart lane by lane where it compares.

constexpr std::size_t kLanes = sizeof(Floats) / sizeof(float);
static_assert(kValueLanes % kLanes == 0);

template <class Vector, class Scalar>
inline Vector load(const Scalar* from) {
  Vector lanes;
  __builtin_memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

template <class Vector, class Scalar>
inline void store(Scalar* to, const Vector& lanes) {
  __builtin_memcpy(to, &lanes, sizeof lanes);
}

template <class To, class From>
inline To bits_as(const From& lanes) {
  To same;
  __builtin_memcpy(&same, &lanes, sizeof same);
  return same;
}

inline Floats all(float value) { return Floats{} + value; }

/// ln v for normal v > 0, within 1e-4: the exponent, and a polynomial of degree 4 for log2 of the mantissa.
inline Floats fast_ln(const Floats& v) {
  const auto bits = bits_as<Words>(v);
  const Floats exponent = __builtin_convertvector(bits_as<Ints>(bits >> 23) - 127, Floats);
  const auto m = bits_as<Floats>((bits & 0x7fffff) | 0x3f800000);
  const Floats log2_m = -2.49835315F + m * (4.02921139F + m * (-2.07833517F + m * (0.62603218F + m * -0.07844068F)));
  return (exponent + log2_m) * 0.69314718F;
}

/// `of_rank`: by each block's rank.
inline Floats value_of(const ValueBatch& batch, std::size_t i, const Floats& score, const Floats& of_rank) {
  const ChanceTables& chances = *batch.chances;
  Floats at = (score - kLowestScore) * kScoreBinsPerUnit - 0.5F;
  const Floats last_bin = all(static_cast<float>(kScoreBins) - 1.001F);
  at = at < Floats{} ? Floats{} : at;
  at = last_bin < at ? last_bin : at;
  const Ints bin = __builtin_convertvector(at, Ints);
  const auto bin_word = bits_as<Words>(bin);
  const Floats of_score =
      lookup(chances.of_score, bin_word) + lookup(chances.rise, bin_word) * (at - __builtin_convertvector(bin, Floats));

  const Ints unread = batch.now - load<Ints>(batch.last_reads + i);
  const Ints most_unread = Ints{} + static_cast<std::int32_t>(kMostUnread);
  const auto few_unread = bits_as<Words>(unread < most_unread ? unread : most_unread);

  // The bits of an age are the exponent of twice the age and one; no float stays exact for ever.
  const auto tokens = load<Words>(batch.tokens + i);
  const Words newest = Words{} + batch.newest_token;
  const Words most_age = Words{} + ((1U << kMostAgeBits) - 1);
  Words age = newest - (tokens < newest ? tokens : newest);
  age = age < most_age ? age : most_age;
  const auto twice = bits_as<Ints>(age * 2 + 1);
  const Words age_bits = (bits_as<Words>(__builtin_convertvector(twice, Floats)) >> 23) - 127;
  const Words age_index = tokens < Words{} + kSinkTokens ? Words{} + kSinkAge : age_bits;

  const Floats by_tables =
      of_score + of_rank + lookup(chances.of_unread, few_unread) + lookup(chances.of_age, age_index);
  const Floats rare = kLogRareReads - fast_ln(kRareSteps + __builtin_convertvector(unread, Floats));
  return by_tables < rare ? rare : by_tables;
}

/// Takes in whether blocks were read, for good.
struct Reads {
  Floats now;
  Floats over_20;
  Floats over_100;
};
inline Reads take_reads(const ValueBatch& batch, std::size_t i) {
  Reads reads{load<Floats>(batch.read + i), load<Floats>(batch.reads_20 + i), load<Floats>(batch.reads_100 + i)};
  store(batch.read + i, Floats{});
  reads.over_20 += 0.05F * (reads.now - reads.over_20);
  reads.over_100 += 0.01F * (reads.now - reads.over_100);
  store(batch.reads_20 + i, reads.over_20);
  store(batch.reads_100 + i, reads.over_100);
  return reads;
}

inline void end_values(const ValueBatch& batch) {
  for (std::size_t i = batch.count; i % kValueLanes != 0; ++i) {
    batch.values[i] = __builtin_inff();
  }
}

constexpr float kFadeOfPeak = 0.015F;

void by_ranks(const ValueBatch& of_layer) {
  const ValueBatch batch = of_layer;  // its own, so that no store may change it
  for (std::size_t i = 0; i < batch.count; i += kLanes) {
    const auto x = load<Floats>(batch.ranks + i);
    const Reads reads = take_reads(batch, i);
    auto average = load<Floats>(batch.first + i);
    average += 0.2F * (x - average);
    store(batch.first + i, average);
    const Floats faded = load<Floats>(batch.second + i) - kFadeOfPeak;
    const Floats peak = faded < x ? x : faded;
    store(batch.second + i, peak);
    const Floats score = 0.482F * x + 0.625F * average + 0.412F * peak +
                         batch.frequency * (2.56F * reads.over_20 + 0.324F * fast_ln(reads.over_100 + 0.002F));
    store(batch.scores + i, score);
    const Floats of_rank = lookup(batch.chances->of_rank, load<Words>(batch.ranks + i) & kRankBinBits);
    store(batch.values + i, value_of(batch, i, score, of_rank));
  }
  end_values(batch);
}

void by_reads(const ValueBatch& of_layer) {
  const ValueBatch batch = of_layer;  // as above
  const Floats of_no_rank = all(batch.chances->of_rank[kUnranked]);
  for (std::size_t i = 0; i < batch.count; i += kLanes) {
    const Reads reads = take_reads(batch, i);
    auto over_2 = load<Floats>(batch.first + i);
    over_2 += 0.5F * (reads.now - over_2);
    store(batch.first + i, over_2);
    auto over_5 = load<Floats>(batch.second + i);
    over_5 += 0.2F * (reads.now - over_5);
    store(batch.second + i, over_5);
    const Floats since = (load<Floats>(batch.since + i) + 1.0F) * (1.0F - reads.now);
    store(batch.since + i, since);
    const Floats score = 0.657F * over_2 + 0.643F * over_5 - 0.276F * fast_ln(1.0F + since) +
                         batch.frequency * (2.394F * reads.over_20 + 0.535F * fast_ln(reads.over_100 + 0.002F));
    store(batch.scores + i, score);
    store(batch.values + i, value_of(batch, i, score, of_no_rank));
  }
  end_values(batch);
}

inline float least_of(const Floats& lanes) {
  float least = lanes[0];
  for (std::size_t lane = 1; lane < kLanes; ++lane) {
    least = lanes[lane] < least ? lanes[lane] : least;
  }
  return least;
}

LowestValues take_lowest(float* values, std::size_t count, float limit, std::size_t most, std::uint32_t* places) {
  LowestValues taken;
  while (taken.count < most && count > 0) {
    auto lowest = load<Floats>(values);
    for (std::size_t i = kLanes; i < count; i += kLanes) {
      const auto next = load<Floats>(values + i);
      lowest = next < lowest ? next : lowest;
    }
    const float least = least_of(lowest);
    if (!(least < limit)) {
      break;
    }
    std::size_t place = 0;
    while (lanes_that_are(load<Floats>(values + place), least) == 0) {
      place += kLanes;
    }
    place += static_cast<std::size_t>(__builtin_ctz(lanes_that_are(load<Floats>(values + place), least)));
    values[place] = __builtin_inff();
    places[taken.count++] = static_cast<std::uint32_t>(place);
    taken.last = least;
  }
  return taken;
}
