/// topk-npz: an archive of one request's arrays, as SGLang's benchmark saves them: topk_indices [tokens, layers, k], or
/// the same flat as indexer_topk_flat, with prompt_len and output_len, num_layers and index_topk.
#include <algorithm>
#include <map>

#include "kvplace/base/file_guard.h"
#include "kvplace/base/parse.h"
#include "kvplace/trace/formats.h"
#include "trace/flat_topk.h"
#include "trace/request_choice.h"
#include "trace/topk_array.h"
#include "trace/zip_archive.h"

namespace kvplace {
namespace {

using Members = std::map<std::string, std::vector<std::byte>>;

bool recognise(std::string_view head) {
  constexpr std::size_t kFirstName = 512;
  return head.starts_with("PK\x03\x04") && head.substr(0, kFirstName).find(".npy") != head.npos;
}

/// A member that is one whole number; nothing if there is no such member.
Result<std::optional<std::uint64_t>> number_of(const std::string& path, const Members& members,
                                               const std::string& name) {
  const auto member = members.find(name + ".npy");
  if (member == members.end()) {
    return std::nullopt;
  }
  ByteSource source =
      ByteSource::from_memory(path + ": " + name, std::make_shared<const std::vector<std::byte>>(member->second));
  KVPLACE_ASSIGN(header, read_npy_header(source));
  const Result<const IdType*> type = id_type(header.descr);
  KVPLACE_ASSIGN(element, source.read_all());
  std::vector<std::uint32_t> values;
  if (!type || element.size() != (*type)->size || (*type)->append(element, values) || values.size() != 1) {
    return bad_input(path + ": " + name + " is not one whole number of 0 to 2^28 - 1");
  }
  return values.front();
}

Result<TopkArray> array_of(const std::string& path, Members& members, const FlatShape& known) {
  if (const auto shaped = members.find("topk_indices.npy"); shaped != members.end()) {
    KVPLACE_ASSIGN(array, npy_in_memory(path, std::move(shaped->second)));
    if ((known.layers && *known.layers != array.shape.layers) || (known.k && *known.k != array.shape.k)) {
      return bad_input(path + ": topk_indices has " + std::to_string(array.shape.layers) + " layers of " +
                       std::to_string(array.shape.k) + " ids, which num_layers, index_topk or --layers contradict");
    }
    return array;
  }
  const auto flat = members.find("indexer_topk_flat.npy");
  if (flat == members.end()) {
    std::string names;
    for (const auto& [name, bytes] : members) {
      names += (names.empty() ? "" : ", ") + in_quotes(name);
    }
    return bad_input(path + ": holds no topk_indices, but " + names +
                     "; an archive of one request holds topk_indices, prompt_len and output_len");
  }
  ByteSource source =
      ByteSource::from_memory(path, std::make_shared<const std::vector<std::byte>>(std::move(flat->second)));
  KVPLACE_ASSIGN(header, read_npy_header(source));
  if (header.descr != "<i4") {
    return bad_input(path + ": indexer_topk_flat has elements of type " + in_quotes(header.descr) +
                     "; expected int32 ('<i4')");
  }
  KVPLACE_ASSIGN(elements, source.read_all());
  return shape_flat(path, std::move(elements), known);
}

Result<ImportSummary> import_trace(std::span<const std::string> sources, const std::string& out,
                                   const ImportOptions& options, const RunContext& context) {
  FileScope files;
  KVPLACE_TRY(begin_import(files, sources, out));
  KVPLACE_ASSIGN(chosen, choose_request(sources.front(), sources, options.request));
  const std::string& path = sources[chosen];
  KVPLACE_ASSIGN(members, read_zip(path));
  KVPLACE_ASSIGN(prompt, number_of(path, members, "prompt_len"));
  KVPLACE_ASSIGN(output, number_of(path, members, "output_len"));
  KVPLACE_ASSIGN(layers, number_of(path, members, "num_layers"));
  KVPLACE_ASSIGN(k, number_of(path, members, "index_topk"));
  TopkRequest request;
  request.is_engines = true;
  if (prompt.value_or(0) > 0) {  // 0: the benchmark did not know it
    request.prompt_tokens = prompt;
  }
  if (request.prompt_tokens && output.value_or(0) > 0) {
    request.rows = *prompt + *output - 1;
  }
  const FlatShape known{request.rows, options.layers ? std::optional<std::uint64_t>(*options.layers) : layers, k};
  KVPLACE_ASSIGN(array, array_of(path, members, known));
  TakenOptions takes;
  takes.request = takes.layers = true;
  return import_topk(std::span(&array, 1), request, takes, out, options, context);
}

}  // namespace

void register_format_topk_npz(FormatRegistry& registry);

void register_format_topk_npz(FormatRegistry& registry) {
  registry.add({"topk-npz", "NumPy archive of a request: topk_indices [tokens, layers, k], prompt_len, output_len",
                recognise, import_trace, nullptr, [](std::span<const std::string> sources) {
                  return Result<std::vector<std::string>>(std::vector<std::string>(sources.begin(), sources.end()));
                }});
}

}  // namespace kvplace
