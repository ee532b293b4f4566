#include "kvplace/runtime/calibrate.h"

#include <memory>

#include "app.h"
#include "kvplace/base/measure.h"
#include "runtime_text.h"

namespace kvplace::cli {
namespace {

struct CalibrateFlags {
  CalibrateOptions options;
  std::string near_size;
  std::string far_size;
  std::string block_bytes;
  std::string output;
  bool json = false;
};

Status set_size(const std::string& text, const std::string& flag, Bytes& size) {
  if (!text.empty()) {
    Result<Bytes> parsed = parse_bytes(text);
    if (!parsed) {
      return bad_input(flag + ": " + parsed.error().message);
    }
    size = *parsed;
  }
  return {};
}

VerbResult run(CalibrateFlags& flags) {
  KVPLACE_TRY(set_size(flags.near_size, "--near-size", flags.options.near_bytes));
  KVPLACE_TRY(set_size(flags.far_size, "--far-size", flags.options.far_bytes));
  KVPLACE_TRY(set_size(flags.block_bytes, "--block-bytes", flags.options.block_bytes));
  if (flags.options.far.empty()) {
    flags.options.far = "file:" + (flags.output.empty() ? std::string("kvplace") : flags.output) + ".far";
  }
  KVPLACE_ASSIGN(calibration, calibrate(flags.options, run_context(1)));
  const Status written = flags.output.empty() ? Status() : write_calibration(flags.output, calibration);
  return print_result(flags.json ? to_json(calibration) + "\n" : table(calibration), written, kDone);
}

}  // namespace

void add_calibrate(App& app) {
  auto flags = std::make_shared<CalibrateFlags>();
  CLI::App* verb = app.add_verb("calibrate", "What this machine's near and far memory deliver, as a hardware file",
                                [flags] { return run(*flags); });
  verb->add_option("--far", flags->options.far,
                   "far memory to measure: `file:PATH`, `numa:1`, `paced:2GB/s` or `dram` (docs/runtime.md)")
      ->default_str("a file beside the output, removed at the end")
      ->type_name("MEMORY");
  verb->add_option("--near-size", flags->near_size, "near memory that is read and written, 64MiB or more")
      ->default_str("1GiB")
      ->type_name("SIZE");
  verb->add_option("--far-size", flags->far_size, "far memory likewise")->default_str("1GiB")->type_name("SIZE");
  verb->add_option("--block-bytes", flags->block_bytes,
                   "pieces in which near memory is read and written, 4KiB to 16MiB: blocks of what is to run")
      ->default_str("64KiB")
      ->type_name("SIZE");
  verb->add_option("--runs", flags->options.runs, "how often each figure is measured, 1 to 100")
      ->default_str("5")
      ->type_name("N");
  app.add_output(*verb, "-o,--output", flags->output, "the hardware file (`.toml`), for `--hardware`");
  add_quiet_flag(*verb);
  add_json_flag(*verb, flags->json);
}

}  // namespace kvplace::cli
