#include "import_text.h"

#include <fmt/core.h>

#include <algorithm>

#include "app.h"
#include "kvplace/base/parse.h"
#include "kvplace/base/short_text.h"
#include "kvplace/model/model.h"
#include "served_text.h"
#include "tables.h"

namespace kvplace::cli {

std::string import_text(const std::string& path, const ImportSummary& summary) {
  const TraceTotals& totals = summary.totals;
  if (const ServedRequests* served = summary.meta.layout.served.get()) {
    return fmt::format("{}: {}; {} decode steps, {} layers, {} reads, {} blocks per layer\n", path,
                       requests_text(*served), with_commas(totals.steps), summary.meta.layers,
                       with_commas(totals.reads), with_commas(totals.blocks_per_layer));
  }
  return fmt::format("{}: {} decode steps{}, {} layers, {} reads, {} blocks per layer, prompt {} tokens{}\n", path,
                     with_commas(totals.steps), tokens_text(totals), summary.meta.layers, with_commas(totals.reads),
                     with_commas(totals.blocks_per_layer), with_commas(summary.meta.layout.prompt_tokens),
                     summary.prompt_tokens_inferred ? " (inferred; --prompt-tokens sets it)" : "");
}

void remark_on_model(const std::string& model) {
  const std::vector<std::string> models = model_names();
  if (!model.empty() && std::find(models.begin(), models.end(), model) == models.end()) {
    remark("no model preset is called " + in_quotes(model) + ": later verbs will need --model or --block-bytes");
  }
}

}  // namespace kvplace::cli
