#include "generate/merge_sources.h"

#include <algorithm>

namespace kvplace {

Result<MergeSources> MergeSources::open(std::span<const std::string> paths) {
  if (paths.empty()) {
    return bad_input("a merge needs a trace at least");
  }
  MergeSources sources;
  for (const std::string& path : paths) {
    KVPLACE_ASSIGN(trace, TraceReader::open(path));
    KVPLACE_TRY(sources.take(std::move(trace)));
  }
  return sources;
}

Status MergeSources::take(TraceReader trace) {
  const TraceMeta& meta = trace.meta();
  const std::string& path = trace.path();
  if (meta.layout.served != nullptr) {
    return bad_input(path + ": is a served batch already; merge the traces that it was made of");
  }
  if (meta.has_tokens) {
    return bad_input(path + ": has steps of several tokens; requests of a batch decode one token in each step");
  }
  const bool has_pages = trace.totals().blocks_per_layer > meta.layout.experts;
  if (traces_.empty()) {
    meta_ = meta;
    meta_.measurements.clear();
    has_pages_ = has_pages;
  } else {
    const std::string& first = traces_.front().path();
    const auto differ = [&](const std::string& what, const auto& here, const auto& there) {
      return bad_input(path + ": has " + std::to_string(here) + " " + what + ", " + first + " has " +
                       std::to_string(there) + "; requests of a batch are of one model and selection");
    };
    if (meta.layers != meta_.layers) {
      return differ("layers", meta.layers, meta_.layers);
    }
    if (meta.layout.block_tokens != meta_.layout.block_tokens) {
      return differ("tokens per block", meta.layout.block_tokens, meta_.layout.block_tokens);
    }
    if (meta.layout.experts != meta_.layout.experts) {
      return differ("experts", meta.layout.experts, meta_.layout.experts);
    }
    if (meta.first_layer != meta_.first_layer) {
      return differ("as first_layer", meta.first_layer, meta_.first_layer);
    }
    if (has_pages != has_pages_ || meta.block_bytes != meta_.block_bytes || meta.expert_bytes != meta_.expert_bytes ||
        meta.model != meta_.model) {
      return bad_input(path + ": has another model or other sizes of blocks than " + first +
                       "; requests of a batch are of one model");
    }
    meta_.has_read_bytes = meta_.has_read_bytes || meta.has_read_bytes;
    meta_.has_ranking = meta_.has_ranking || meta.has_ranking;
    meta_.selection = meta_.selection == meta.selection ? meta_.selection : "";
  }
  for (std::uint32_t request = 0; request < meta.layout.requests; ++request) {
    sources_.push_back({traces_.size(), request, meta.layout.prompt_tokens, trace.totals().steps});
  }
  traces_.push_back(std::move(trace));
  return {};
}

Status MergeSources::move_to(std::uint32_t request, std::size_t source, std::uint32_t step) {
  Place& place = places_[request];
  place.source = source;
  place.step = step;
  if (place.segment != nullptr && step < place.segment->end_step()) {
    return {};
  }
  const std::size_t trace = sources_[source].trace;
  const std::size_t chunk = traces_[trace].chunk_of(StepIndex(step));
  std::weak_ptr<const Segment>& known = decoded_[{trace, chunk}];
  place.segment = known.lock();
  if (place.segment == nullptr) {
    KVPLACE_ASSIGN(segment, traces_[trace].chunk(chunk, ChunkParts::kWithoutRankings));
    place.segment = std::make_shared<const Segment>(std::move(segment));
    known = place.segment;
  }
  return {};
}

Result<StepView> MergeSources::record(std::uint32_t request, std::uint32_t layer) const {
  const Place& place = places_.at(request);
  const MergeSource& source = sources_[place.source];
  const StepView record = place.segment->view(place.step, layer);
  const BlockLayout& layout = traces_[source.trace].meta().layout;
  std::uint32_t appended = 0;
  const std::uint64_t page = (std::uint64_t{source.prompt_tokens} + place.step) / layout.block_tokens;
  bool as_text = true;
  for (const BlockId id : record.appended) {
    if (layout.request(id) == source.request) {
      ++appended;
      as_text = as_text && layout.page(id) == page;
    }
  }
  if (has_pages_ && (!as_text || appended != 1)) {
    return bad_input(traces_[source.trace].path() + ": decode step " + std::to_string(place.step) + ", layer " +
                     std::to_string(layer) + " does not append the page of its token, " + std::to_string(page) +
                     ": a merge needs traces whose prompt is known (import --prompt-tokens)");
  }
  return record;
}

}  // namespace kvplace
