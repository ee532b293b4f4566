#include "kvplace/runtime/calibrate.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "runtime/calibrate/rates.h"

namespace kvplace {
namespace {

constexpr std::int64_t kKib = 1024;
constexpr std::int64_t kPieceSizes[] = {16 * kKib, 64 * kKib, 256 * kKib, 1024 * kKib};
constexpr std::uint32_t kReadDepths[] = {1, 8, 32};
constexpr std::uint32_t kMostDepth = 32;
// All far pages of a step are put on their way at once: the hardware file is made of figures like that.
constexpr std::uint32_t kUsedDepth = kMostDepth;
constexpr std::uint32_t kMostRuns = 100;
constexpr std::int64_t kLeastBytes = 64 * kKib * kKib;
constexpr std::int64_t kLeastBlock = 4 * kKib;
constexpr std::int64_t kLargestBlock = 16 * kKib * kKib;
constexpr std::int64_t kReadUnit = 256;  // of plain loads

std::string words(Direction direction) { return direction == Direction::kRead ? "read" : "write"; }

Status check(const CalibrateOptions& options) {
  if (options.near_bytes < Bytes(kLeastBytes) || options.far_bytes < Bytes(kLeastBytes)) {
    return bad_input("caches hold what is less than 64MiB: measure near and far memory of 64MiB each, or more");
  }
  if (options.block_bytes < Bytes(kLeastBlock) || options.block_bytes > Bytes(kLargestBlock) ||
      options.block_bytes.value() % kReadUnit != 0) {
    return bad_input("near memory is read in blocks of 4KiB to 16MiB, a multiple of 256 bytes");
  }
  if (options.runs < 1 || options.runs > kMostRuns || !(options.of_run.value() > 0)) {
    return bad_input("each figure is measured 1 to 100 times, for more than no time");
  }
  return {};
}

class Calibrator {
 public:
  Calibrator(const CalibrateOptions& options, const RunContext& context, Memory& near, Memory& far)
      : options_(options),
        context_(context),
        near_({near.address(), static_cast<std::size_t>(options.near_bytes.value())}, options.block_bytes,
              options.of_run),
        buffer_(kMostDepth * (std::size_t{1} << 20) + 4096),
        far_(far, aligned(buffer_), options.of_run) {
    for (const std::int64_t piece : kPieceSizes) {
      for (const std::uint32_t depth : kReadDepths) {
        calibration.pieces.push_back({Direction::kRead, Bytes(piece), depth, {}});
      }
      calibration.pieces.push_back({Direction::kWrite, Bytes(piece), kUsedDepth, {}});
    }
    runs_.resize(calibration.pieces.size());
  }

  Status run() {
    if (context_.progress != nullptr) {
      context_.progress->start("measuring", std::uint64_t{options_.runs} * (runs_.size() + 4) + 1, "figures");
    }
    KVPLACE_TRY(far_.fill());
    KVPLACE_TRY(next());
    for (std::uint32_t i = 0; i < options_.runs; ++i) {
      near_reads_.push_back(near_.read());
      KVPLACE_TRY(next());
      near_writes_.push_back(near_.write());
      KVPLACE_TRY(next());
      for (std::size_t p = 0; p < runs_.size(); ++p) {
        const PieceRate& piece = calibration.pieces[p];
        KVPLACE_ASSIGN(rate, far_.rate(piece.direction, piece.piece, piece.depth));
        runs_[p].push_back(rate);
        KVPLACE_TRY(next());
      }
      KVPLACE_ASSIGN(latency, far_.latency());
      latencies_.push_back(latency);
      KVPLACE_TRY(next());
      KVPLACE_TRY(measure_interference());
      KVPLACE_TRY(next());
    }
    if (context_.progress != nullptr) {
      context_.progress->finish();
    }
    calibration.near_read = measured_of(near_reads_);
    calibration.near_write = measured_of(near_writes_);
    for (std::size_t p = 0; p < runs_.size(); ++p) {
      calibration.pieces[p].rate = measured_of(runs_[p]);
    }
    calibration.latency = measured_of(latencies_);
    calibration.interference = measured_of(interferences_);
    return {};
  }

  Calibration calibration;

 private:
  static std::span<std::byte> aligned(std::vector<std::byte>& buffer) {
    constexpr std::size_t kAligned = 4096;
    constexpr std::size_t kBytes = kMostDepth * (std::size_t{1} << 20);
    void* first = buffer.data();
    std::size_t space = buffer.size();
    return {static_cast<std::byte*>(std::align(kAligned, kBytes, first, space)), kBytes};
  }

  Status next() {
    ++done_;
    if (context_.progress != nullptr) {
      context_.progress->update(done_);
    }
    return context_.stop_requested() ? interrupted("stopped before all figures were measured") : Status();
  }

  /// Near and far at once for a time of 1: each does x of what it does alone. 1 = max + a * min.
  Status measure_interference() {
    const Bytes piece(kPieceSizes[1]);
    const double near_alone = near_.read();
    KVPLACE_ASSIGN(far_alone, far_.rate(Direction::kRead, piece, kUsedDepth));
    KVPLACE_ASSIGN(both, far_.beside(piece, kUsedDepth, [this] { return near_.read_some(); }));
    const double far = both.first / far_alone;
    const double near = both.second / near_alone;
    constexpr double kMost = 0.99;
    const double least = std::min(far, near);
    interferences_.push_back(least > 0 ? std::clamp((1 - std::max(far, near)) / least, 0.0, kMost) : 0);
    return {};
  }

  const CalibrateOptions& options_;
  const RunContext& context_;
  NearRates near_;
  std::vector<std::byte> buffer_;
  FarRates far_;
  std::uint64_t done_ = 0;
  std::vector<double> near_reads_;
  std::vector<double> near_writes_;
  std::vector<std::vector<double>> runs_;  // by piece
  std::vector<double> latencies_;
  std::vector<double> interferences_;
};

/// The fastest of a direction, at the depth that is used.
double fastest(const Calibration& calibration, Direction direction) {
  double rate = 0;
  for (const PieceRate& piece : calibration.pieces) {
    rate = piece.direction == direction && piece.depth == kUsedDepth ? std::max(rate, piece.rate.median) : rate;
  }
  return rate;
}

BytesPerSecond rounded(double rate) { return BytesPerSecond(std::round(rate / 1e6) * 1e6); }

Bytes machine_bytes() {
  struct sysinfo info{};
  return sysinfo(&info) == 0 ? Bytes(static_cast<std::int64_t>(info.totalram) * info.mem_unit) : Bytes(0);
}

Bytes far_capacity(const std::string& far) {
  constexpr std::string_view kFile = "file:";
  if (!far.starts_with(kFile)) {
    return machine_bytes();
  }
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::absolute(far.substr(kFile.size()), error).parent_path();
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  return error ? Bytes(0) : Bytes(static_cast<std::int64_t>(space.capacity));
}

void make_hardware(const CalibrateOptions& options, Calibration& calibration) {
  Hardware& hardware = calibration.hardware;
  hardware.name = kCalibratedName;
  hardware.description = calibration.manifest.machine + ", far memory " + calibration.far;
  hardware.figures = Figures::kMeasured;
  constexpr double kDigits = 1e3;
  hardware.interference = std::round(calibration.interference.median * kDigits) / kDigits;
  hardware.near.capacity = machine_bytes();
  hardware.near.bandwidth.measured = rounded(calibration.near_read.median);
  hardware.far.name = options.far;
  hardware.far.capacity = far_capacity(options.far);
  const double read = fastest(calibration, Direction::kRead);
  const double write = fastest(calibration, Direction::kWrite);
  hardware.far.bandwidth.measured = rounded(std::max(read, write));
  hardware.far.link_read.measured = rounded(read);
  hardware.far.link_write.measured = rounded(write);
  constexpr double kNanoseconds = 1e9;
  hardware.far.latency = Seconds(std::round(calibration.latency.median * kNanoseconds) / kNanoseconds);
  for (const PieceRate& piece : calibration.pieces) {
    if (piece.direction == Direction::kRead && piece.depth == kUsedDepth) {
      hardware.far.link_read_by_size.set(piece.piece, rounded(piece.rate.median));
    }
  }
  const std::string how = "measured: kvplace calibrate on " + calibration.manifest.machine + ", ";
  hardware.provenance = {
      {"interference", how + "near and far read at once"},
      {"near.capacity", "measured: all of the machine's memory"},
      {"near.bandwidth_measured", how + "plain loads of one thread, random pieces of " +
                                      short_bytes(static_cast<double>(calibration.block_bytes.value()))},
      {"far.capacity", "measured: all of it, what others use included"},
      {"far.bandwidth_measured", how + "the faster of reading and writing"},
      {"far.link_read_measured", how + "random reads, 32 at a time"},
      {"far.link_write_measured", how + "random writes, 32 at a time"},
      {"far.latency", how + "one piece of 4096 bytes alone"},
      {"far.link_read_by_size", how + "random reads, 32 at a time"},
  };
}

void warn(Calibration& calibration) {
  const auto look_at = [&](const std::string& what, const Measured& measured) {
    if (measured.spread() > kNoisy) {
      calibration.warnings.push_back(what + ": runs are " + percent(measured.spread(), 0) +
                                     " apart; the machine is too noisy for this figure");
    }
  };
  look_at("near memory, read", calibration.near_read);
  look_at("near memory, write", calibration.near_write);
  for (const PieceRate& piece : calibration.pieces) {
    if (piece.depth == kUsedDepth) {
      look_at("far memory, " + words(piece.direction) + " in pieces of " +
                  short_bytes(static_cast<double>(piece.piece.value())),
              piece.rate);
    }
  }
  look_at("latency of far memory", calibration.latency);
}

}  // namespace

Measured measured_of(std::vector<double> runs) {
  std::sort(runs.begin(), runs.end());
  const std::size_t middle = runs.size() / 2;
  return {runs.size() % 2 == 1 ? runs[middle] : (runs[middle - 1] + runs[middle]) / 2, runs.front(), runs.back()};
}

Result<Calibration> calibrate(const CalibrateOptions& options, const RunContext& context) {
  KVPLACE_TRY(check(options));
  KVPLACE_ASSIGN(far, make_memory(options.far, options.far_bytes));
  KVPLACE_ASSIGN(near, make_dram_memory(options.near_bytes));
  Calibrator calibrator(options, context, *near, *far);
  KVPLACE_TRY(calibrator.run());
  Calibration calibration = std::move(calibrator.calibration);
  calibration.far = far->name();
  calibration.block_bytes = options.block_bytes;
  calibration.notes = far->notes();
  calibration.manifest = make_manifest();
  make_hardware(options, calibration);
  warn(calibration);
  return calibration;
}

std::string to_toml(const Calibration& calibration) {
  std::string text = "# kvplace calibrate\n";
  for (const std::string& warning : calibration.warnings) {
    text += "# " + warning + "\n";
  }
  for (const Field<Hardware>& field : hardware_fields()) {
    const std::string value = field.get(calibration.hardware);
    if (!value.empty()) {
      text += field.key + " = " + (field.is_text ? toml_string(value) : value) + "\n";
    }
  }
  text += "\n[provenance]\n";
  for (const auto& [key, provenance] : calibration.hardware.provenance) {
    text += key + " = " + toml_string(provenance) + "\n";
  }
  return text;
}

std::string to_json(const Calibration& calibration) {
  using Json = nlohmann::ordered_json;
  const auto json_of_runs = [](const Measured& measured) {
    return Json{{"median", measured.median}, {"least", measured.least}, {"most", measured.most}};
  };
  Json json;
  json["far"] = calibration.far;
  json["block_bytes"] = calibration.block_bytes.value();
  json["near_read_bytes_per_s"] = json_of_runs(calibration.near_read);
  json["near_write_bytes_per_s"] = json_of_runs(calibration.near_write);
  json["pieces"] = Json::array();
  for (const PieceRate& piece : calibration.pieces) {
    json["pieces"].push_back({{"direction", words(piece.direction)},
                              {"piece_bytes", piece.piece.value()},
                              {"depth", piece.depth},
                              {"bytes_per_s", json_of_runs(piece.rate)}});
  }
  json["latency_s"] = json_of_runs(calibration.latency);
  json["interference"] = json_of_runs(calibration.interference);
  json["notes"] = calibration.notes;
  json["warnings"] = calibration.warnings;
  json["machine"] = calibration.manifest.machine;
  json["version"] = calibration.manifest.version;
  json["commit"] = calibration.manifest.commit;
  return json.dump(2);
}

Status write_calibration(const std::string& path, const Calibration& calibration) {
  KVPLACE_ASSIGN(file, OutputFile::create(path));
  KVPLACE_TRY(file.write(to_toml(calibration)));
  return file.commit();
}

}  // namespace kvplace
