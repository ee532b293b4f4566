#include "trace/row_order.h"

#include "trace/import_driver.h"
#include "trace/kvt_format.h"

namespace kvplace {

std::string RowOrder::rule() const {
  return "; rows run by decode step, then by layer from " + std::to_string(first_layer_) + ", without gaps";
}

std::string RowOrder::layer_range(std::uint64_t end) const {
  return "layer" + (end - first_layer_ == 1 ? " " + std::to_string(first_layer_) + " only"
                                            : "s " + std::to_string(first_layer_) + " to " + std::to_string(end - 1));
}

std::string RowOrder::name_of(std::uint64_t step, std::uint64_t query) const {
  return "decode step " + std::to_string(step) + (rules_.has_queries ? " of query " + std::to_string(query) : "");
}

Status RowOrder::end_step() {
  if (layers_ == 0) {
    layers_ = static_cast<std::uint32_t>(next_layer_ - first_layer_);
  }
  if (next_layer_ - first_layer_ != layers_) {
    return bad_input(name_of(step_, query_) + " has " + layer_range(next_layer_) + ", the steps before it " +
                     layer_range(first_layer_ + layers_) + "; every decode step needs a row for every layer");
  }
  in_step_ = false;
  return {};
}

Status RowOrder::end_file() { return in_step_ ? end_step() : Status(); }

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
  if (is_new && !rules_.has_queries && !rules_.any_first_step && record.step != 0) {
    return bad_input("the first decode step is " + std::to_string(record.step) + ", it must be 0" + rule());
  }
  if (restarts && rules_.one_request) {
    return bad_input(
        "begins again at decode step 0: it is another request, and a trace is made of one here; import the "
        "files one by one");
  }
  if (is_new || (restarts && rules_.has_queries)) {
    KVPLACE_TRY(start_request(query, record.step));
  } else if (restarts) {
    query.next_step = 0;
  }
  if (record.step < query.next_step) {
    return bad_input(name_of(record.step, record.query) + " comes again, decode step " +
                     std::to_string(query.next_step) + " is next" + rule());
  }
  if (record.step > query.next_step) {
    return bad_input(name_of(record.step, record.query) + " comes too early, decode step " +
                     std::to_string(query.next_step) + " is next" + rule());
  }
  if (steps_ == kNeverRead) {
    return bad_input("more than " + std::to_string(kNeverRead) + " decode steps");
  }
  query.file = file_;
  query.next_step += rules_.counts_tokens ? record.tokens.decoded : 1;
  query_ = record.query;
  step_ = record.step;
  place_ = {steps_++, 0, query.request, query.tokens};
  query.tokens += record.tokens.decoded;
  next_layer_ = first_layer_ + 1;
  in_step_ = true;
  return {};
}

Status RowOrder::next(const SourceRecord& record, RowPlace& place) {
  if (steps_ == 0 && rules_.any_first_layer) {
    if (record.layer > kvt::kMostLayers) {
      return bad_input("there is a layer " + std::to_string(record.layer) + ", at most " +
                       std::to_string(kvt::kMostLayers) + " layers are supported");
    }
    first_layer_ = record.layer;
  }
  const bool same_step = in_step_ && record.step == step_ && record.query == query_;
  if (record.layer == first_layer_ && !same_step) {
    if (in_step_) {
      KVPLACE_TRY(end_step());
    }
    KVPLACE_TRY(begin_step(record));
    place = place_;
    return {};
  }
  if (!same_step) {
    return bad_input(name_of(record.step, record.query) + " begins with layer " + std::to_string(record.layer) +
                     rule());
  }
  if (record.layer != next_layer_) {
    return bad_input(name_of(record.step, record.query) + ": layer " + std::to_string(record.layer) +
                     (record.layer < next_layer_ ? " comes again" : " comes too early") + ", layer " +
                     std::to_string(next_layer_) + " is next" + rule());
  }
  const std::uint64_t most = layers_ == 0 ? kvt::kMostLayers : layers_;
  if (record.layer - first_layer_ >= most) {
    return bad_input(name_of(record.step, record.query) + ": there is a layer " + std::to_string(record.layer) + ", " +
                     (layers_ == 0 ? "at most " + std::to_string(most) + " layers are supported"
                                   : "the steps before it have " + layer_range(first_layer_ + most)));
  }
  ++next_layer_;
  ++place_.layer;
  place = place_;
  return {};
}

}  // namespace kvplace
