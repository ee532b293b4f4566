// Attention over pages: that of double precision to rounding, and bit for bit the same wherever pages lie, in any order
// of arrival and on several threads.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <thread>

#include "kvplace/runtime/attention.h"
#include "support/naive_attention.h"
#include "support/random_instance.h"

namespace kvplace {
namespace {

/// Pages at places of their own, each aligned to 64 bytes.
class Pages {
 public:
  Pages(const AttentionShape& shape, std::size_t count)
      : bytes_(static_cast<std::size_t>(shape.page_bytes().value())), storage_(count * bytes_ + 64) {}
  std::byte* page(std::size_t i) {
    const auto first = (reinterpret_cast<std::uintptr_t>(storage_.data()) + 63) / 64 * 64;
    return reinterpret_cast<std::byte*>(first) + i * bytes_;
  }

 private:
  std::size_t bytes_;
  std::vector<std::byte> storage_;
};

struct AttentionCase {
  AttentionShape shape;
  float scale = 1;
  std::vector<float> queries;
  std::vector<float> sinks;
  std::shared_ptr<Pages> pages;
  std::vector<SelectedPage> selected;
};

AttentionCase drawn_attention() {
  testing::RandomCase random = testing::drawn_case({});
  AttentionCase drawn;
  drawn.shape.kv_heads = random.one_of({1U, 2U, 3U});
  drawn.shape.query_heads = drawn.shape.kv_heads * random.one_of({1U, 2U, 3U, 4U, 7U});
  drawn.shape.head_dim = random.one_of({16U, 64U, 80U, 128U, 256U});
  drawn.shape.page_tokens = random.one_of({16U, 16U, 32U, 48U, 128U, 256U});
  drawn.shape.type = random.one_of({KvType::kFloat32, KvType::kBfloat16, KvType::kFloat16});
  drawn.scale = 1 / std::sqrt(static_cast<float>(drawn.shape.head_dim));
  std::mt19937 engine(random.below(1U << 30));
  std::normal_distribution<float> normal(0, random.one_of({0.1F, 1.0F, 3.0F}));
  const auto values = [&](std::size_t count) {
    std::vector<float> made(count);
    std::generate(made.begin(), made.end(), [&] { return normal(engine); });
    return made;
  };
  drawn.queries = values(drawn.shape.query_heads * drawn.shape.head_dim);
  if (random.chance(0.3)) {
    drawn.sinks = values(drawn.shape.query_heads);
  }
  const std::size_t count = random.below(30);
  drawn.pages = std::make_shared<Pages>(drawn.shape, count);
  for (std::size_t i = 0; i < count; ++i) {
    SelectedPage page{drawn.pages->page(i), 0, drawn.shape.page_tokens};
    std::memset(drawn.pages->page(i), 0xff, static_cast<std::size_t>(drawn.shape.page_bytes().value()));  // NaN
    if (random.chance(0.3)) {  // a window, a page that is being filled
      page.begin = random.below(drawn.shape.page_tokens + 1);
      page.end = page.begin + random.below(drawn.shape.page_tokens + 1 - page.begin);
    }
    const std::size_t numbers = drawn.shape.kv_heads * drawn.shape.head_dim;
    for (std::uint32_t token = page.begin; token < page.end; ++token) {
      write_token(drawn.shape, drawn.pages->page(i), token, values(numbers), values(numbers));
    }
    drawn.selected.push_back(page);
  }
  return drawn;
}

std::vector<float> attend(const AttentionCase& drawn, std::span<const SelectedPage> pages,
                          std::span<const std::size_t> order, unsigned threads, std::string_view kernels = {}) {
  DecodeAttention attention(drawn.shape, drawn.scale, kernels);
  attention.start(drawn.queries, pages.size());
  std::vector<std::thread> others;
  for (unsigned thread = 0; thread < threads; ++thread) {
    others.emplace_back([&, thread] {
      for (std::size_t i = thread; i < order.size(); i += threads) {
        attention.compute(order[i], pages);
      }
    });
  }
  for (std::thread& other : others) {
    other.join();
  }
  std::vector<float> out(drawn.queries.size());
  attention.finish(drawn.sinks, out);
  return out;
}

std::vector<std::size_t> in_order(const AttentionCase& drawn) {
  DecodeAttention attention(drawn.shape, drawn.scale);
  attention.start(drawn.queries, drawn.selected.size());
  std::vector<std::size_t> order(attention.num_groups());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

/// What rounding may make of it: some units in the last place of the largest score, before its exponential, in the
/// largest value.
double rounding(const AttentionCase& drawn) {
  const std::size_t dim = drawn.shape.head_dim;
  std::vector<float> keys(drawn.shape.kv_heads * dim);
  std::vector<float> values(keys.size());
  double largest_score = 1;
  double largest_value = 0;
  for (const SelectedPage& page : drawn.selected) {
    for (std::uint32_t token = page.begin; token < page.end; ++token) {
      read_token(drawn.shape, page.data, token, keys, values);
      for (std::size_t head = 0; head < drawn.shape.query_heads; ++head) {
        double score = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          score += std::abs(double{drawn.queries[head * dim + d]} *
                            keys[head / drawn.shape.queries_per_kv_head() * dim + d]);
        }
        largest_score = std::max(largest_score, score * drawn.scale);
      }
      for (const float value : values) {
        largest_value = std::max(largest_value, std::abs(double{value}));
      }
    }
  }
  return 8 * std::ldexp(1.0, -24) * largest_score * largest_value;
}

RC_GTEST_PROP(AttentionProperties, IsThatOfDoublePrecision, ()) {
  const AttentionCase drawn = drawn_attention();
  const std::vector<double> expected =
      testing::naive_attention(drawn.shape, drawn.queries, drawn.selected, drawn.scale, drawn.sinks);
  const double most = rounding(drawn);
  for (const std::string_view kernels : attention_kernel_names()) {
    const std::vector<float> out = attend(drawn, drawn.selected, in_order(drawn), 1, kernels);
    for (std::size_t i = 0; i < out.size(); ++i) {
      RC_ASSERT(std::abs(out[i] - expected[i]) <= most);
    }
  }
}

RC_GTEST_PROP(AttentionProperties, IsTheSameBitsWhereverPagesLieAndWheneverTheyArrive, ()) {
  const AttentionCase drawn = drawn_attention();
  const std::vector<float> expected = attend(drawn, drawn.selected, in_order(drawn), 1);
  // The same pages elsewhere, in another order; computed in another order by several threads.
  const std::size_t count = drawn.selected.size();
  const auto places = testing::drawn(rc::gen::map(rc::gen::arbitrary<std::uint32_t>(), [count](std::uint32_t seed) {
    std::vector<std::size_t> shuffled(count);
    std::iota(shuffled.begin(), shuffled.end(), std::size_t{0});
    std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(seed));
    return shuffled;
  }));
  Pages elsewhere(drawn.shape, count);
  std::vector<SelectedPage> moved = drawn.selected;
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(elsewhere.page(places[i]), moved[i].data, static_cast<std::size_t>(drawn.shape.page_bytes().value()));
    moved[i].data = elsewhere.page(places[i]);
  }
  std::vector<std::size_t> order = in_order(drawn);
  std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(count)));
  for (const unsigned threads : {1U, 3U}) {
    const std::vector<float> out = attend(drawn, moved, order, threads);
    RC_ASSERT(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)) == 0);
  }
}

}  // namespace
}  // namespace kvplace
