/// Arrays [tokens, layers, k] of ids: what engines return of their indexers and routers. A row is a token; rows of the
/// prompt may stand at the head, where an indexer has fewer than k tokens to choose from: row t holds at most t + 1
/// ids.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvplace/base/result.h"
#include "kvplace/base/run_context.h"
#include "trace/byte_source.h"
#include "trace/import_driver.h"
#include "trace/npy_header.h"

namespace kvplace {

/// How ids are stored: NumPy's integers, in either byte order.
struct IdType {
  std::string_view descr;  ///< "<i4"
  std::size_t size;
  /// Appends the ids of a row; returns the first element that is none, or nothing. -1 of a signed type is padding.
  std::optional<std::string> (*append)(std::span<const std::byte> row, std::vector<std::uint32_t>& ids);
};

struct TopkShape {
  const IdType* type = nullptr;
  std::uint64_t tokens = 0;
  std::uint64_t layers = 0;
  std::uint64_t k = 0;

  [[nodiscard]] std::size_t row_bytes() const { return k * type->size; }
};

/// The type of that name ("<i4"), or an error that says which there are.
[[nodiscard]] Result<const IdType*> id_type(std::string_view descr);

/// The shape that a .npy header promises; errors if it is no array of ids by token and layer.
[[nodiscard]] Result<TopkShape> topk_shape(const NpyHeader& header);

/// An array that can be read from its begin as often as is needed.
struct TopkArray {
  std::string path;
  TopkShape shape;
  std::shared_ptr<const std::vector<std::byte>> bytes;  ///< its elements in C order, or null: they are in the file
};

/// Of a .npy file (plain, .zst or .gz). One in Fortran order is read into memory.
[[nodiscard]] Result<TopkArray> open_npy(const std::string& path);
/// Of the bytes of a .npy file; `path` names it in messages.
[[nodiscard]] Result<TopkArray> npy_in_memory(const std::string& path, std::vector<std::byte> bytes);

/// What the ids of an array tell of its rows.
struct TopkLook {
  bool is_request = false;           ///< row t reads blocks of tokens up to t only: the array begins with the prompt
  bool is_request_of_fours = false;  ///< row t holds (t + 1) / 4 ids at first, one for each four tokens that are whole
  bool counts_as_request = false;    ///< row t holds t + 1 ids at first, whatever they are
  std::uint32_t dense_layers = 0;    ///< layers at the head that hold nothing, or only 0, in every row
};

[[nodiscard]] Result<TopkLook> look_at(const TopkArray& array, std::uint32_t block_tokens, const RunContext& context);

/// Which part of an array becomes a trace, and as what.
struct TopkPart {
  std::uint64_t first_row = 0;    ///< rows before it are the prompt's
  std::uint32_t first_layer = 0;  ///< layers before it are dense
  bool are_experts = false;
};

[[nodiscard]] Result<std::unique_ptr<RecordSource>> read_topk(const TopkArray& array, const TopkPart& part);

/// What an engine tells of an array, beside the ids.
struct TopkRequest {
  std::optional<std::uint64_t> prompt_tokens;
  std::optional<std::uint64_t> rows;  ///< prompt and output, less the last token, which no step was run for
  bool are_experts = false;
  bool is_engines = false;  ///< the order of ids means nothing
};

/// Imports arrays, of which a further one goes on where the one before ended. What neither `request` nor `options` say
/// is taken from the ids, if they are sure; else the error asks for it. `takes` is what `options` may hold beside what
/// is of every array.
[[nodiscard]] Result<ImportSummary> import_topk(std::span<const TopkArray> arrays, const TopkRequest& request,
                                                const TakenOptions& takes, const std::string& out,
                                                const ImportOptions& options, const RunContext& context);

}  // namespace kvplace
