#include "kvplace/runtime/tiered_cache.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kvplace/base/parse.h"
#include "runtime/cache/cache_state.h"

namespace kvplace {
namespace {

constexpr std::uint32_t kMostStaging = 1U << 20;

std::uint32_t staging_of(const TieredCacheOptions& options) {
  constexpr std::uint32_t kBesideGroups = 64;
  return options.staging_pages != 0 ? options.staging_pages : 2 * options.shape.pages_per_group() + kBesideGroups;
}

std::uint32_t pages_of_request(const TieredCacheOptions& options) {
  return (options.most_tokens + options.shape.page_tokens - 1) / options.shape.page_tokens;
}

TieredPagesOptions pages_options(const TieredCacheOptions& options) {
  TieredPagesOptions pages;
  pages.page_bytes = options.shape.page_bytes();
  pages.num_blocks = options.layers * options.requests * pages_of_request(options);
  pages.near_pages = static_cast<std::uint32_t>(std::min<std::int64_t>(
      options.near_pages_capacity.value() / pages.page_bytes.value(), std::int64_t{pages.num_blocks}));
  // In a step a request may fill one page and begin another.
  pages.filling_pages = options.layers * options.requests + options.requests;
  pages.staging_pages = staging_of(options);
  pages.mode = options.mode;
  pages.copies = options.copies;
  pages.watch = options.watch;
  return pages;
}

Status check(const TieredCacheOptions& options) {
  KVPLACE_TRY(check(options.shape));
  if (options.layers < 1 || options.requests < 1 || options.most_tokens < 1) {
    return bad_input("a cache has layers, requests and tokens, one of each at least");
  }
  const double blocks = static_cast<double>(options.layers) * options.requests * pages_of_request(options);
  if (blocks >= static_cast<double>(std::numeric_limits<std::uint32_t>::max())) {
    return bad_input("a cache of " + std::to_string(options.most_tokens) +
                     " tokens for each request in each layer has " + "more pages than can be counted");
  }
  if (options.near_pages_capacity < Bytes(0)) {
    return bad_input("the near capacity of a cache is 0 bytes or more");
  }
  if (staging_of(options) < options.shape.pages_per_group() || staging_of(options) > kMostStaging) {
    return bad_input("staging is for " + std::to_string(options.shape.pages_per_group()) +
                     " pages at least, which attention computes together, and 1048576 at most");
  }
  if (!(options.scale >= 0) || options.threads < 1) {
    return bad_input("a cache's scale is 0 or more, and one thread at least computes");
  }
  return {};
}

/// What runs step by step and knows no future.
Status check_policy(const TieredCacheOptions& options) {
  if (options.decisions != nullptr) {
    return {};
  }
  KVPLACE_ASSIGN(info, PolicyRegistry::instance().find(options.policy.name));
  const bool runs = info->information == Information::kCausal || info->information == Information::kRanked;
  if (!runs || info->make == nullptr || info->requires_ranking) {
    return bad_input("policy " + info->name + " is " + to_text(info->information) +
                     " and needs what a running cache does not know; take a causal one, as kvplace or lru");
  }
  return {};
}

Result<Instance> make_instance(const TieredCacheOptions& options) {
  InstanceSpec spec;
  spec.hardware = options.hardware;
  spec.options.near_capacity = options.near_pages_capacity;
  spec.options.mode = options.mode;
  spec.options.barrier = options.barrier;
  spec.options.copies = options.copies;
  spec.options.start = Start::kEmpty;
  spec.options.block_bytes = options.shape.page_bytes();
  spec.options.seed = options.seed;
  TraceMeta meta;
  meta.layers = options.layers;
  meta.layout = {0, options.requests, options.shape.page_tokens, 0};
  TraceTotals totals;
  totals.steps = options.most_tokens;
  totals.blocks_per_layer = pages_of_request(options) * options.requests;
  return Instance::make(spec, meta, totals);
}

}  // namespace

Bytes TieredCache::near_capacity(const TieredCacheOptions& options, std::uint32_t far_alignment) {
  return TieredPages::near_capacity(pages_options(options), far_alignment);
}

Bytes TieredCache::far_capacity(const TieredCacheOptions& options, std::uint32_t far_alignment) {
  const TieredPagesOptions pages = pages_options(options);
  constexpr std::uint32_t kNearAlignment = 64;
  const std::int64_t align = std::max(kNearAlignment, far_alignment);
  const Bytes stride((pages.page_bytes.value() + align - 1) / align * align);
  return Slots::capacity_for(pages.num_blocks, stride, far_alignment, Bytes(far_alignment));
}

Result<Bytes> TieredCache::pages_within(const TieredCacheOptions& given, Bytes budget, std::uint32_t far_alignment) {
  KVPLACE_TRY(check(given));
  TieredCacheOptions options = given;
  const Bytes page = options.shape.page_bytes();
  options.near_pages_capacity = page;
  const Bytes one = near_capacity(options, far_alignment);
  options.near_pages_capacity = Bytes(0);
  const Bytes none = near_capacity(options, far_alignment);
  const std::uint32_t pages = pages_of_request(options);
  const std::size_t of_request = (options.quest ? options.layers * QuestBounds::bytes_of(options.shape, pages) : 0) +
                                 DecodeAttention::bytes_of(options.shape, pages);
  const Bytes beside = none + TieredPages::table_bytes(pages_options(options).num_blocks) +
                       Bytes(static_cast<std::int64_t>(options.requests * of_request));
  const std::int64_t count = (budget - beside).value() / (one - none).value();
  if (count < 1) {
    return bad_input(format_bytes(budget) + " hold no page of " + format_bytes(page) +
                     " beside those that are being filled or arrive, their table, Quest's bounds and what attention "
                     "keeps; give " +
                     format_bytes(beside + (one - none)) + " or more, or fewer tokens");
  }
  return page * count;
}

Result<TieredCache> TieredCache::make(const TieredCacheOptions& given, MemoryPtr far, MemoryPtr near) {
  KVPLACE_TRY(check(given));
  KVPLACE_TRY(check_policy(given));
  TieredCacheOptions options = given;
  options.scale = given.scale > 0 ? given.scale : 1 / std::sqrt(static_cast<float>(given.shape.head_dim));
  KVPLACE_ASSIGN(instance, make_instance(options));
  if (near == nullptr) {
    KVPLACE_ASSIGN(dram, make_dram_memory(near_capacity(options, far->alignment())));
    near = std::move(dram);
  }
  KVPLACE_ASSIGN(pages, TieredPages::make(pages_options(options), std::move(near), std::move(far)));
  auto state = std::make_unique<State>(options, std::move(instance));
  ReplayJob job;
  job.instance = &state->instance;
  job.policy = options.policy;
  job.schedule = options.decisions;
  KVPLACE_ASSIGN(placement, PolicyPlacement::make(job));
  KVPLACE_TRY(placement->start({}, false));
  state->placement = std::move(placement);
  state->pages = std::move(pages);
  state->tokens.assign(std::size_t{options.layers} * options.requests, 0);
  if (options.quest) {
    state->bounds.assign(state->tokens.size(), QuestBounds(options.shape));
    for (QuestBounds& bounds : state->bounds) {
      bounds.reserve(pages_of_request(options));
    }
  }
  state->attention.assign(options.requests, DecodeAttention(options.shape, options.scale));
  state->selected.resize(options.requests);
  return TieredCache(std::move(state));
}

TieredCache::TieredCache(std::unique_ptr<State> state) : state_(std::move(state)) {}
TieredCache::TieredCache(TieredCache&&) noexcept = default;
TieredCache& TieredCache::operator=(TieredCache&&) noexcept = default;
TieredCache::~TieredCache() = default;

Status TieredCache::append(LayerIndex layer, std::uint32_t request, std::span<const float> keys,
                           std::span<const float> values) {
  return state_->append(layer, request, keys, values);
}

Status TieredCache::read(LayerIndex layer, std::uint32_t request, std::span<float> keys, std::span<float> values) {
  return state_->read(layer, request, keys, values);
}

Status TieredCache::attend(LayerIndex layer, std::span<const RequestStep> requests, std::span<const float> sinks,
                           std::span<float> out) {
  return state_->attend(layer, requests, sinks, out);
}

Status TieredCache::settle() {
  if (state_->error) {
    return tl::unexpected(*state_->error);
  }
  Status status = state_->pages->settle();
  if (!status) {
    state_->error = status.error();
  }
  return status;
}

std::uint32_t TieredCache::num_tokens(LayerIndex layer, std::uint32_t request) const {
  return state_->tokens[state_->place(layer, request)];
}

std::uint32_t TieredCache::num_pages(LayerIndex layer, std::uint32_t request) const {
  return state_->pages_of(num_tokens(layer, request));
}

std::vector<std::uint32_t> TieredCache::select_all(LayerIndex layer, std::uint32_t request,
                                                   std::uint32_t window) const {
  const std::uint32_t tokens = num_tokens(layer, request);
  const std::uint32_t first = window != 0 && window < tokens ? tokens - window : 0;
  std::vector<std::uint32_t> pages;
  for (std::uint32_t page = first / state_->options.shape.page_tokens; page < num_pages(layer, request); ++page) {
    pages.push_back(page);
  }
  return pages;
}

std::vector<std::uint32_t> TieredCache::select_quest(LayerIndex layer, std::uint32_t request,
                                                     std::span<const float> queries, std::size_t count) const {
  const QuestBounds& bounds = state_->bounds[state_->place(layer, request)];
  std::vector<float> scores(bounds.num_pages());
  bounds.score(queries, scores);
  return best_pages(scores, count);
}

CacheStatistics TieredCache::statistics() const {
  CacheStatistics statistics;
  statistics.steps = state_->num_steps;
  statistics.near_reads = state_->pages->near_reads();
  statistics.far_reads = state_->pages->far_reads();
  statistics.traffic = state_->pages->traffic();
  statistics.placing = state_->placing;
  statistics.computing = state_->computing;
  statistics.waiting = state_->waiting;
  std::size_t bytes = 0;
  for (const QuestBounds& bounds : state_->bounds) {
    bytes += bounds.bytes();
  }
  for (const DecodeAttention& attention : state_->attention) {
    bytes += attention.bytes();
  }
  statistics.near_bytes = state_->pages->near().capacity() +
                          TieredPages::table_bytes(pages_options(state_->options).num_blocks) +
                          Bytes(static_cast<std::int64_t>(bytes));
  return statistics;
}

ReplayResult TieredCache::predicted() const { return state_->placement->predicted(); }

std::vector<std::string> TieredCache::notes() const {
  std::vector<std::string> notes = state_->pages->near().notes();
  const std::vector<std::string>& far = state_->pages->far().notes();
  notes.insert(notes.end(), far.begin(), far.end());
  return notes;
}

}  // namespace kvplace
