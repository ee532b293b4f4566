// A step of the cache: appending, placing, and attention over what is there while the rest arrives.
#include <algorithm>
#include <chrono>

#include "runtime/cache/cache_state.h"

namespace kvplace {
namespace {

/// Adds what passes while it lives.
class Stopwatch {
 public:
  explicit Stopwatch(Seconds& sum) : sum_(sum), begin_(std::chrono::steady_clock::now()) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { sum_ += Seconds(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count()); }

 private:
  Seconds& sum_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace

Status TieredCache::State::check_append(LayerIndex layer, std::uint32_t request, std::size_t keys,
                                        std::size_t values) const {
  const std::size_t of_token = options.shape.kv_heads * options.shape.head_dim;
  if (layer.value() != next_layer || request >= options.requests) {
    return bad_input("KV of layer " + std::to_string(layer.value()) + ", request " + std::to_string(request) +
                     ": next is layer " + std::to_string(next_layer) + ", requests are 0 to " +
                     std::to_string(options.requests - 1));
  }
  if (keys != values || keys == 0 || keys % of_token != 0) {
    return bad_input("keys and values of tokens are [tokens][kv_heads][head_dim], " + std::to_string(of_token) +
                     " numbers each; " + std::to_string(keys) + " and " + std::to_string(values) + " are given");
  }
  const std::uint64_t after = std::uint64_t{tokens[place(layer, request)]} + keys / of_token;
  if (after > options.most_tokens) {
    return bad_input("request " + std::to_string(request) + " would have " + std::to_string(after) +
                     " tokens; the cache was made for " + std::to_string(options.most_tokens));
  }
  return {};
}

Status TieredCache::State::complete_full(LayerIndex layer) {
  for (Appended& block : appended) {
    if (block.full && !block.completed) {
      KVPLACE_TRY(pages->complete(instance.index(layer, block.id)));
      block.completed = true;
    }
  }
  return {};
}

Status TieredCache::State::append(LayerIndex layer, std::uint32_t request, std::span<const float> keys,
                                  std::span<const float> values) {
  if (error) {
    return tl::unexpected(*error);
  }
  KVPLACE_TRY(check_append(layer, request, keys.size(), values.size()));
  const AttentionShape& shape = options.shape;
  const std::size_t of_token = shape.kv_heads * shape.head_dim;
  std::uint32_t& count = tokens[place(layer, request)];
  std::byte* page = nullptr;
  for (std::size_t first = 0; first < keys.size(); first += of_token, ++count) {
    const std::uint32_t in_page = count % shape.page_tokens;
    const BlockId id = block_id(count / shape.page_tokens, request);
    const BlockIndex index = instance.index(layer, id);
    if (in_page == 0) {
      if (pages->num_free_frames() == 0) {
        if (Status completed = complete_full(layer); !completed) {
          error = completed.error();
          return completed;
        }
      }
      Result<std::byte*> created = pages->create(index);
      if (!created) {
        error = created.error();
        return tl::unexpected(*error);
      }
      page = *created;
    } else if (page == nullptr) {
      page = pages->writable(index);
    }
    if (appended.empty() || appended.back().id != id) {
      appended.push_back({id, 0, false, false});
    }
    ++appended.back().tokens;
    appended.back().full = in_page + 1 == shape.page_tokens;
    write_token(shape, page, in_page, keys.subspan(first, of_token), values.subspan(first, of_token));
    if (!bounds.empty()) {
      bounds[place(layer, request)].append(keys.subspan(first, of_token));
    }
  }
  return {};
}

Status TieredCache::State::check_step(LayerIndex layer, std::span<const RequestStep> requests,
                                      std::span<const float> sinks, std::size_t out) const {
  const std::size_t of_request = options.shape.query_heads * options.shape.head_dim;
  if (layer.value() != next_layer) {
    return bad_input("a step of layer " + std::to_string(layer.value()) + ": next is layer " +
                     std::to_string(next_layer));
  }
  if (out != requests.size() * of_request || (!sinks.empty() && sinks.size() != options.shape.query_heads)) {
    return bad_input("a step's result is [requests][query_heads][head_dim], its sinks are one per query head");
  }
  std::vector<bool> asked(options.requests);
  for (const RequestStep& step_of : requests) {
    if (step_of.request >= options.requests || asked[step_of.request]) {
      return bad_input("request " + std::to_string(step_of.request) + " is not there or asked for twice");
    }
    asked[step_of.request] = true;
    if (step_of.queries.size() != of_request) {
      return bad_input("queries of a request are [query_heads][head_dim], " + std::to_string(of_request) + " numbers");
    }
    const std::uint32_t there = pages_of(tokens[place(layer, step_of.request)]);
    for (std::size_t i = 0; i < step_of.pages.size(); ++i) {
      if (step_of.pages[i] >= there || (i > 0 && step_of.pages[i] <= step_of.pages[i - 1])) {
        return bad_input("pages that request " + std::to_string(step_of.request) +
                         " reads are ascending, each once, below " + std::to_string(there));
      }
    }
  }
  return {};
}

Status TieredCache::State::read(LayerIndex layer, std::uint32_t request, std::span<float> keys,
                                std::span<float> values) {
  if (error) {
    return tl::unexpected(*error);
  }
  const AttentionShape& shape = options.shape;
  const std::size_t of_token = shape.kv_heads * shape.head_dim;
  if (layer.value() >= options.layers || request >= options.requests) {
    return bad_input("there is no layer " + std::to_string(layer.value()) + ", request " + std::to_string(request));
  }
  const std::uint32_t count = tokens[place(layer, request)];
  if (keys.size() != count * of_token || values.size() != keys.size()) {
    return bad_input("the KV of " + std::to_string(count) + " tokens is [tokens][kv_heads][head_dim], " +
                     std::to_string(count * of_token) + " numbers each");
  }
  if (!appended.empty()) {
    return bad_input("what was appended is placed by a step first");
  }
  const auto read_some = [&](std::uint32_t first, std::uint32_t end) -> Status {
    reads.clear();
    for (std::uint32_t page = first; page < end; ++page) {
      reads.push_back(block(layer, page, request));
    }
    KVPLACE_TRY(pages->begin_step(reads, {}));
    for (std::uint32_t page = first; page < end; ++page) {
      const BlockIndex index = block(layer, page, request);
      while (pages->resident(index) == nullptr) {
        const Stopwatch stopwatch(waiting);
        KVPLACE_TRY(pages->poll(true));
      }
      const std::byte* const data = pages->resident(index);
      for (std::uint32_t t = page * shape.page_tokens; t < std::min(count, (page + 1) * shape.page_tokens); ++t) {
        read_token(shape, data, t % shape.page_tokens, keys.subspan(t * of_token, of_token),
                   values.subspan(t * of_token, of_token));
      }
      pages->done_reading(index);
    }
    return pages->end_step(false);
  };
  const std::uint32_t at_once = shape.pages_per_group();
  for (std::uint32_t first = 0; first < pages_of(count); first += at_once) {
    if (Status status = read_some(first, std::min(pages_of(count), first + at_once)); !status) {
      error = status.error();
      return status;
    }
  }
  return {};
}

Status TieredCache::State::attend(LayerIndex layer, std::span<const RequestStep> requests, std::span<const float> sinks,
                                  std::span<float> out) {
  if (error) {
    return tl::unexpected(*error);
  }
  KVPLACE_TRY(check_step(layer, requests, sinks, out.size()));
  const auto run = [&]() -> Status {
    KVPLACE_TRY(place_step(layer, requests));
    KVPLACE_TRY(compute(layer, requests));
    const bool at_barrier = instance.groups().ends_group(layer);
    const Stopwatch stopwatch(waiting);
    return pages->end_step(at_barrier);
  };
  if (Status status = run(); !status) {
    error = status.error();
    return status;
  }
  const std::size_t of_request = options.shape.query_heads * options.shape.head_dim;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    attention[i].finish(sinks, out.subspan(i * of_request, of_request));
  }
  ++num_steps;
  next_layer = (next_layer + 1) % options.layers;
  step += next_layer == 0 ? 1 : 0;
  return {};
}

Status TieredCache::State::place_step(LayerIndex layer, std::span<const RequestStep> requests) {
  read_ids.clear();
  reads.clear();
  for (const RequestStep& step_of : requests) {
    for (const std::uint32_t page : step_of.pages) {
      read_ids.push_back(block_id(page, step_of.request));
      reads.push_back(instance.index(layer, read_ids.back()));
    }
  }
  std::sort(read_ids.begin(), read_ids.end());
  std::sort(appended.begin(), appended.end(), [](const Appended& a, const Appended& b) { return a.id < b.id; });
  appended_ids.clear();
  written_tokens.clear();
  for (const Appended& block : appended) {
    appended_ids.push_back(block.id);
    written_tokens.push_back(block.tokens);
  }
  StepView record;
  record.step = StepIndex(step);
  record.layer = layer;
  record.reads = read_ids;
  record.appended = appended_ids;
  record.written_tokens = written_tokens;
  {
    const Stopwatch stopwatch(placing);
    KVPLACE_TRY(placement->step(record, unknown));
  }
  KVPLACE_TRY(pages->begin_step(reads, placement->decision()));
  KVPLACE_TRY(complete_full(layer));
  appended.clear();
  return options.observer != nullptr ? options.observer->on_step(record, placement->decision()) : Status();
}

Status TieredCache::State::compute(LayerIndex layer, std::span<const RequestStep> requests) {
  const std::uint32_t page_tokens = options.shape.page_tokens;
  left.clear();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RequestStep& step_of = requests[i];
    const std::uint32_t count = tokens[place(layer, step_of.request)];
    const std::uint32_t first = step_of.window != 0 && step_of.window < count ? count - step_of.window : 0;
    selected[i].clear();
    for (const std::uint32_t page : step_of.pages) {
      const std::uint32_t of_page = page * page_tokens;
      selected[i].push_back(
          {nullptr, std::min(std::max(first, of_page) - of_page, page_tokens), std::min(count - of_page, page_tokens)});
    }
    attention[i].start(step_of.queries, step_of.pages.size());
    for (std::size_t group = 0; group < attention[i].num_groups(); ++group) {
      left.push_back({i, group});
    }
  }
  const std::size_t at_once = options.threads == 1 ? 2 : std::size_t{4} * options.threads;
  ready.clear();
  while (true) {
    find_ready(layer, requests);
    if (ready.empty() && left.empty()) {
      return {};
    }
    if (ready.empty()) {
      const Stopwatch stopwatch(waiting);
      KVPLACE_TRY(pages->poll(true));
      continue;
    }
    const std::size_t count = std::min(at_once, ready.size());
    {
      const Stopwatch stopwatch(computing);
      team.run(count, [&](std::size_t n) {
        const Work& work = ready[n];
        const std::byte* const next =
            n + 1 < ready.size()
                ? selected[ready[n + 1].request][attention[ready[n + 1].request].first_page(ready[n + 1].group)].data
                : nullptr;
        attention[work.request].compute(work.group, selected[work.request], next);
      });
    }
    for (std::size_t n = 0; n < count; ++n) {
      const Work& work = ready[n];
      for (std::size_t i = attention[work.request].first_page(work.group);
           i < attention[work.request].end_page(work.group); ++i) {
        pages->done_reading(block(layer, requests[work.request].pages[i], requests[work.request].request));
      }
    }
    ready.erase(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(count));
    KVPLACE_TRY(pages->poll(false));
  }
}

void TieredCache::State::find_ready(LayerIndex layer, std::span<const RequestStep> requests) {
  std::size_t kept = 0;
  for (const Work work : left) {
    bool is_ready = true;
    for (std::size_t i = attention[work.request].first_page(work.group);
         is_ready && i < attention[work.request].end_page(work.group); ++i) {
      SelectedPage& page = selected[work.request][i];
      page.data = pages->resident(block(layer, requests[work.request].pages[i], requests[work.request].request));
      is_ready = page.data != nullptr;
    }
    if (is_ready) {
      ready.push_back(work);
    } else {
      left[kept++] = work;
    }
  }
  left.resize(kept);
}

}  // namespace kvplace
