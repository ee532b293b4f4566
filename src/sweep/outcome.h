/// What comes of a point, on its way to JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "kvplace/advise/advise.h"
#include "kvplace/simulate/compare.h"
#include "kvplace/size/size.h"
#include "kvplace/solve/bound.h"
#include "kvplace/sweep/compute.h"
#include "kvplace/trace/reader.h"

namespace kvplace {

/// Rows of tables of the database, column by column.
class Outcome {
 public:
  explicit Outcome(std::uint32_t point) : point_(point) {}

  void set_trace(const TraceReader& trace);
  void set_config(const InstanceSpec& spec);
  void add_error(Compute compute, const std::string& message, const std::string& policy = {});
  void set_bounds(const Bounds& bounds);
  void set_proven(const ProvenBounds& proven);
  void add_result(std::size_t place, const ReplayResult& result, const Bounds& bounds, Seconds certified);
  void add_sizes(const SizeResult& result);
  void add_advice(const Advice& advice);

  [[nodiscard]] PointOutcome finish(double seconds) const;

 private:
  std::uint32_t point_;
  nlohmann::ordered_json columns_ = nlohmann::ordered_json::object();  // of the table points
  nlohmann::ordered_json trace_ = nullptr;
  nlohmann::ordered_json rows_ = nlohmann::ordered_json::object();  // by table
};

}  // namespace kvplace
