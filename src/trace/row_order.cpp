#include "trace/row_order.h"

#include "trace/kvt_format.h"

namespace kvplace {
namespace {

const std::string kRule = "; rows run by decode step, then by layer from 0, without gaps";

std::string layer_range(std::uint64_t layers) {
  return layers == 1 ? "layer 0 only" : "layers 0 to " + std::to_string(layers - 1);
}

}  // namespace

std::string RowOrder::name_of(std::uint64_t step, std::uint64_t query) const {
  return "decode step " + std::to_string(step) + (has_queries_ ? " of query " + std::to_string(query) : "");
}

Status RowOrder::end_step() {
  if (layers_ == 0) {
    layers_ = static_cast<std::uint32_t>(next_layer_);
  }
  if (next_layer_ != layers_) {
    return bad_input(name_of(step_, query_) + " has " + layer_range(next_layer_) + ", the steps before it " +
                     layer_range(layers_) + "; every decode step needs a row for every layer");
  }
  next_layer_ = 0;
  return {};
}

Status RowOrder::end_file() { return next_layer_ == 0 ? Status() : end_step(); }

Status RowOrder::start_request(Query& query, std::uint64_t first_step) {
  if (requests_ == kvt::kMostBlocksPerLayer) {
    return bad_input("more than " + std::to_string(kvt::kMostBlocksPerLayer) + " queries");
  }
  query.request = requests_++;
  query.tokens = 0;
  query.next_step = first_step;
  return {};
}

Status RowOrder::begin_step(const SourceRecord& record) {
  const auto [found, is_new] = queries_.try_emplace(record.query);
  Query& query = found->second;
  const bool restarts = !is_new && query.file != file_ && record.step == 0;
  if (is_new && !has_queries_ && record.step != 0) {
    return bad_input("the first decode step is " + std::to_string(record.step) + ", it must be 0" + kRule);
  }
  if (is_new || (restarts && has_queries_)) {
    KVPLACE_TRY(start_request(query, record.step));
  } else if (restarts) {
    query.next_step = 0;
  }
  if (record.step < query.next_step) {
    return bad_input(name_of(record.step, record.query) + " comes again, decode step " +
                     std::to_string(query.next_step) + " is next" + kRule);
  }
  if (record.step > query.next_step) {
    return bad_input(name_of(record.step, record.query) + " comes too early, decode step " +
                     std::to_string(query.next_step) + " is next" + kRule);
  }
  if (steps_ == kNeverRead) {
    return bad_input("more than " + std::to_string(kNeverRead) + " decode steps");
  }
  query.file = file_;
  ++query.next_step;
  query_ = record.query;
  step_ = record.step;
  place_ = {steps_++, 0, query.request, query.tokens++};
  next_layer_ = 1;
  return {};
}

Status RowOrder::next(const SourceRecord& record, RowPlace& place) {
  const bool same_step = next_layer_ > 0 && record.step == step_ && record.query == query_;
  if (record.layer == 0 && !same_step) {
    if (next_layer_ > 0) {
      KVPLACE_TRY(end_step());
    }
    KVPLACE_TRY(begin_step(record));
    place = place_;
    return {};
  }
  if (!same_step) {
    return bad_input(name_of(record.step, record.query) + " begins with layer " + std::to_string(record.layer) + kRule);
  }
  if (record.layer != next_layer_) {
    return bad_input(name_of(record.step, record.query) + ": layer " + std::to_string(record.layer) +
                     (record.layer < next_layer_ ? " comes again" : " comes too early") + ", layer " +
                     std::to_string(next_layer_) + " is next" + kRule);
  }
  const std::uint64_t most = layers_ == 0 ? kvt::kMostLayers : layers_;
  if (record.layer >= most) {
    return bad_input(name_of(record.step, record.query) + ": there is a layer " + std::to_string(record.layer) + ", " +
                     (layers_ == 0 ? "at most " + std::to_string(most) + " layers are supported"
                                   : "the steps before it have " + layer_range(most)));
  }
  ++next_layer_;
  ++place_.layer;
  place = place_;
  return {};
}

}  // namespace kvplace
