#include "runtime_text.h"

#include <fmt/core.h>

#include "kvplace/base/short_text.h"

namespace kvplace::cli {
namespace {

std::string rate_text(const Measured& rate) {
  constexpr double kGiga = 1e9;
  return fmt::format("{:>8.2f} GB/s  ({:.2f} to {:.2f})", rate.median / kGiga, rate.least / kGiga, rate.most / kGiga);
}

}  // namespace

std::string table(const Calibration& calibration) {
  std::string text = fmt::format("machine   {}\nfar       {}\n\n", calibration.manifest.machine, calibration.far);
  text += fmt::format("near read           {}\nnear write          {}\n\n", rate_text(calibration.near_read),
                      rate_text(calibration.near_write));
  text += "far      piece  depth\n";
  for (const PieceRate& piece : calibration.pieces) {
    text += fmt::format("{:<5} {:>8}  {:>5}{}\n", piece.direction == Direction::kRead ? "read" : "write",
                        short_bytes(static_cast<double>(piece.piece.value())), piece.depth, rate_text(piece.rate));
  }
  text += fmt::format("\nlatency         {:>12}  ({} to {})\ninterference    {:>12.3f}  ({:.3f} to {:.3f})\n",
                      short_time(calibration.latency.median), short_time(calibration.latency.least),
                      short_time(calibration.latency.most), calibration.interference.median,
                      calibration.interference.least, calibration.interference.most);
  for (const std::string& note : calibration.notes) {
    text += "\nnote      " + note;
  }
  for (const std::string& warning : calibration.warnings) {
    text += "\nwarning   " + warning;
  }
  return text + (calibration.notes.empty() && calibration.warnings.empty() ? "" : "\n");
}

std::string table(const TraceRuns& runs) {
  std::string text = fmt::format("far       {}\n\n", runs.far);
  text += "policy             predicted     measured  measured /   by decode step: least, median, most\n";
  text += "                  each token   each token   predicted\n";
  for (const TraceRun& run : runs.runs) {
    if (run.steps == 0) {
      text += fmt::format("{:<18}  stopped before its first decode step\n", run.policy.label());
      continue;
    }
    std::vector<double> ratios;
    for (std::size_t i = 0; i < run.measured_s.size(); ++i) {
      ratios.push_back(run.measured_s[i] / run.predicted_s[i]);
    }
    const Measured by_step = measured_of(ratios);
    const double steps = run.steps;
    text +=
        fmt::format("{:<18} {:>9}    {:>9} {:>11.3f}   {:.2f} {:.2f} {:.2f}\n", run.policy.label(),
                    short_time(run.predicted.total.value() / steps), short_time(run.measured.value() / steps),
                    run.measured.value() / run.predicted.total.value(), by_step.least, by_step.median, by_step.most);
  }
  text += "\nbytes moved                 predicted      measured\n";
  for (const TraceRun& run : runs.runs) {
    for (std::size_t c = 0; c < kNumChannels; ++c) {
      text += fmt::format("{:<12} {:<14} {:>10}    {:>10}\n", c == 0 ? run.policy.label() : "",
                          channel_name(static_cast<Channel>(c)),
                          short_bytes(static_cast<double>(run.predicted.channel_bytes[c])),
                          short_bytes(static_cast<double>(run.channel_bytes[c])));
    }
  }
  text += "\nof the measured time     deciding   waiting for far     DRAM taken\n";
  for (const TraceRun& run : runs.runs) {
    text += fmt::format("{:<22} {:>10}        {:>10}     {:>10}\n", run.policy.label(),
                        percent(run.placing.value() / run.measured.value()),
                        percent(run.waiting.value() / run.measured.value()),
                        short_bytes(static_cast<double>(run.near_bytes.value())));
  }
  for (const std::string& note : runs.notes) {
    text += "\nnote      " + note + "\n";
  }
  return text;
}

}  // namespace kvplace::cli
