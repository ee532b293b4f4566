/// dsa-jsonl: JSON lines of an instrumented DeepSeek-V3.2-Exp, one per request, layer and step: request_id, layer_id,
/// step_idx (the token's position, or only a count where there is a position), seq_len_current, selected_token_pos.
/// Lines of the prompt hold several tokens; those of speculative decoding say tokens_verified and tokens_accepted.
#include <array>

#include "kvplace/trace/formats.h"
#include "trace/record_stream.h"

namespace kvplace {
namespace {

constexpr std::array<std::string_view, 3> kNames{"layer_id", "step_idx", "selected_token_pos"};

bool recognise(std::string_view head) { return first_row_has(head, kNames); }

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  RecordForm form;
  form.request = "request_id";
  form.layer = "layer_id";
  form.step = "step_idx";
  form.step_is_position = true;
  form.length = "seq_len_current";
  form.verified = "tokens_verified";
  form.accepted = "tokens_accepted";
  form.position = "position";
  form.blocks = "selected_token_pos";
  return import_stream(form, {}, sources, out, options, context);
}

}  // namespace

void register_format_dsa_jsonl(FormatRegistry& registry);

void register_format_dsa_jsonl(FormatRegistry& registry) {
  registry.add({"dsa-jsonl", "JSON lines of DeepSeek-V3.2-Exp: layer_id, step_idx, selected_token_pos", recognise,
                import_trace, nullptr});
}

}  // namespace kvplace
