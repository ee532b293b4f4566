#include <gtest/gtest.h>

#include <cstring>

#include "support/format_test.h"
#include "trace/npy_header.h"

namespace kvplace {
namespace {

using testing::expect_part;
using testing::FormatTest;
using testing::gzip;
using testing::Ids;
using testing::values;
using testing::zstd;

template <class T>
std::string elements(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

/// An array of `shape` with `values`, which may be more or fewer than the shape says.
template <class T>
std::string array_of(std::vector<std::uint64_t> shape, const std::vector<T>& values) {
  const char* const descr = sizeof(T) == 2 ? "<u2" : sizeof(T) == 4 ? "<i4" : "<i8";
  return make_npy_header({descr, false, std::move(shape)}) + elements(values);
}

std::string with_dictionary(unsigned version, const std::string& text) {
  std::string head("\x93NUMPY", 6);
  head += static_cast<char>(version);
  head += '\0';
  for (unsigned i = 0; i < (version == 1 ? 2u : 4u); ++i) {
    head += static_cast<char>(text.size() >> 8 * i & 0xff);
  }
  return head + text;
}

class TopkNpy : public FormatTest {
 protected:
  std::string error_of(const std::string& bytes, const ImportOptions& options = {}) {
    return import_error("topk-npy", bytes, options);
  }
};

TEST(NpyHeader, IsLaidOutAsNumpyDoes) {
  const std::string head = make_npy_header({"<i4", false, {512, 30, 512}});
  EXPECT_EQ(head.size() % 64, 0u);
  const std::string dictionary = "{'descr': '<i4', 'fortran_order': False, 'shape': (512, 30, 512), }";
  EXPECT_EQ(head, std::string("\x93NUMPY\x01\x00v\x00", 10) + dictionary + std::string(50, ' ') + "\n");
  expect_part(make_npy_header({"<i4", false, {5}}), "'shape': (5,), }");
}

TEST(NpyHeader, ReadsAnyDictionaryOfTheThreeKeys) {
  const auto header = parse_npy_dictionary("{\"shape\":(2,3 , 4,) , 'descr': '<u2','fortran_order': True}\n");
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->shape, (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_EQ(header->descr, "<u2");
  EXPECT_TRUE(header->fortran_order);
  EXPECT_TRUE(parse_npy_dictionary("{'descr': '<i4', 'fortran_order': False, 'shape': (), }"));
  EXPECT_TRUE(parse_npy_dictionary("{'descr': '<i4', 'fortran_order': False, 'shape': (7L,), }"));
  for (const char* bad : {"", "{", "{}", "{'descr': '<i4', 'fortran_order': False}",
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (1 2)}",
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (-1,)}",
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
                          "{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (1,)}",
                          "{'descr': '<i4', 'fortran_order': 0, 'shape': (1,)}",
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)} x",
                          "{'descr': '<i4' 'fortran_order': False, 'shape': (1,)}",
                          "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}",
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (9999999999999999999,)}"}) {
    EXPECT_FALSE(parse_npy_dictionary(bad)) << bad;
  }
}

TEST_F(TopkNpy, ReadsEveryTypeAndVersion) {
  const auto plain = import_text("topk-npy", array_of<std::int32_t>({2, 1, 3}, {0, 1, 2, 1, 2, 3}));
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_EQ(plain->meta.layers, 1u);
  EXPECT_EQ(plain->totals.steps, 2u);
  EXPECT_EQ(plain->meta.layout.prompt_tokens, 2u);
  EXPECT_FALSE(plain->meta.has_ranking);
  const auto unsigned16 = import_text("topk-npy", array_of<std::uint16_t>({2, 1, 3}, {0, 1, 2, 1, 2, 3}));
  const auto wide = import_text("topk-npy", array_of<std::int64_t>({2, 1, 3}, {0, 1, 2, 1, 2, 3}));
  const std::string dictionary = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1, 3), }";
  const std::string body = elements<std::int32_t>({0, 1, 2, 1, 2, 3});
  const auto version2 = import_text("topk-npy", with_dictionary(2, dictionary) + body);
  const auto version3 = import_text("topk-npy", with_dictionary(3, dictionary) + body);
  const auto gz = import_text("topk-npy", gzip(array_of<std::int32_t>({2, 1, 3}, {0, 1, 2, 1, 2, 3})));
  const auto zst = import_text("topk-npy", zstd(array_of<std::int32_t>({2, 1, 3}, {0, 1, 2, 1, 2, 3})));
  for (const auto& other : {unsigned16, wide, version2, version3, gz, zst}) {
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ(other->totals.digest, plain->totals.digest);
  }
}

TEST_F(TopkNpy, TakesEitherByteOrderAndEitherOrderOfElements) {
  const auto plain = import_text("topk-npy", array_of<std::int32_t>({2, 2, 2}, {0, 1, 2, 3, 1, -1, 0, 4}));
  ASSERT_TRUE(plain) << plain.error().message;
  const std::string fortran =
      make_npy_header({"<i4", true, {2, 2, 2}}) + elements<std::int32_t>({0, 1, 2, 0, 1, -1, 3, 4});
  std::string big_endian = make_npy_header({">i2", false, {2, 2, 2}});
  for (const int value : {0, 1, 2, 3, 1, -1, 0, 4}) {
    big_endian += static_cast<char>(value < 0 ? 0xff : 0);
    big_endian += static_cast<char>(value & 0xff);
  }
  ImportOptions experts;
  experts.experts = 5;
  const auto as_experts =
      import_text("topk-npy", array_of<std::int32_t>({2, 2, 2}, {0, 1, 2, 3, 1, -1, 0, 4}), experts);
  const auto big = import_text("topk-npy", big_endian, experts);
  ASSERT_TRUE(as_experts && big);
  EXPECT_EQ(as_experts->totals.digest, big->totals.digest);
  const auto columns = import_text("topk-npy", fortran);
  ASSERT_TRUE(columns) << columns.error().message;
  EXPECT_EQ(columns->totals.digest, plain->totals.digest);
}

TEST_F(TopkNpy, LeavesOutThePromptThatItsRowsShow) {
  // Row t reads tokens up to t: a prompt of three, then two decode steps.
  const std::string whole = array_of<std::int32_t>({5, 1, 2}, {0, -1, 1, 0, 2, 0, 3, 1, 0, 4});
  expect_part(error_of(whole), ": begins with the rows of its prompt");
  ImportOptions options;
  options.prompt_tokens = 5;
  expect_part(error_of(whole, options), "leaves no decode step");
  options.prompt_tokens = 3;
  const auto summary = import_text("topk-npy", whole, options);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->taken, "3 rows of the prompt left out");
  EXPECT_EQ(summary->totals.steps, 2u);
  EXPECT_FALSE(summary->meta.has_ranking);
  EXPECT_EQ(values(records().view(0, 0).reads), (Ids{1, 3}));
  EXPECT_EQ(values(records().view(1, 0).appended), (Ids{4}));
  options.prompt_tokens = 5;
  options.prompt_rows = 0;
  const auto all = import_text("topk-npy", whole, options);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->totals.steps, 5u);
  EXPECT_EQ(all->meta.layout.prompt_tokens, 5u);
}

TEST_F(TopkNpy, RefusesPlacesOfAMemoryPool) {
  expect_part(error_of(array_of<std::int32_t>({4, 1, 2}, {7, -1, 8, 7, 8, 9, 7, 10})), "SGLANG_DSA_FUSE_TOPK=0");
}

TEST_F(TopkNpy, KnowsEntriesOfFourTokens) {
  std::vector<std::int32_t> ids;
  constexpr int kRows = 14;
  for (int token = 0; token < kRows; ++token) {
    const int whole = (token + 1) / 4;
    ids.push_back(whole > 0 ? whole - 1 : -1);
    ids.push_back(whole > 1 ? 0 : -1);
  }
  ImportOptions options;
  options.prompt_tokens = 9;
  const auto summary = import_text("topk-npy", array_of<std::int32_t>({kRows, 1, 2}, ids), options);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->meta.layout.block_tokens, 4u);
  EXPECT_EQ(summary->totals.steps, 5u);
  EXPECT_EQ(values(records().view(2, 0).reads), (Ids{0, 2}));
}

TEST_F(TopkNpy, LeavesOutDenseLayersBeforeTheExperts) {
  const std::string array = array_of<std::int32_t>({2, 3, 2}, {-1, -1, 0, 0, 3, 1, -1, -1, 0, 0, 0, 2});
  ImportOptions options;
  options.experts = 3;
  expect_part(error_of(array, options), "has an expert 3, but --experts says");
  options.experts = 8;
  const auto summary = import_text("topk-npy", array, options);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->meta.first_layer, 2u);
  EXPECT_EQ(summary->meta.layers, 1u);
  EXPECT_EQ(summary->totals.blocks_per_layer, 8u);
  EXPECT_EQ(values(records().view(1, 0).reads), (Ids{0, 2}));
}

TEST_F(TopkNpy, SkipsPaddingAnywhere) {
  ASSERT_TRUE(import_text("topk-npy", array_of<std::int32_t>({1, 2, 4}, {-1, 3, -1, 5, -1, -1, -1, -1})));
  EXPECT_EQ(values(records().view(0, 0).reads), (Ids{3, 5}));
  EXPECT_TRUE(records().view(0, 1).reads.empty());
  const auto no_padding = import_text("topk-npy", array_of<std::uint16_t>({1, 1, 2}, {3, 65535}));
  ASSERT_TRUE(no_padding);
  EXPECT_EQ(no_padding->totals.blocks_per_layer, 65536u);
}

TEST_F(TopkNpy, KeepsTheOrderAsRankingOnlyIfThereIsOne) {
  const auto ranked = import_text("topk-npy", array_of<std::int32_t>({2, 1, 3}, {0, 1, 2, 3, 0, -1}));
  ASSERT_TRUE(ranked);
  EXPECT_TRUE(ranked->meta.has_ranking);
  const Segment segment = records();
  EXPECT_EQ(values(segment.view(0, 0).ranking), (Ids{0, 1, 2}));
  EXPECT_EQ(values(segment.view(1, 0).ranking), (Ids{3, 0}));
  EXPECT_EQ(values(segment.view(1, 0).reads), (Ids{0, 3}));
}

TEST_F(TopkNpy, TakesTheFirstOfARanking) {
  ImportOptions options;
  options.read_k = 2;
  const auto summary =
      import_text("topk-npy", array_of<std::int32_t>({3, 1, 4}, {5, 2, 7, 1, 0, 1, 2, 3, -1, 6, -1, -1}), options);
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_TRUE(summary->meta.has_ranking);
  EXPECT_EQ(summary->meta.layout.prompt_tokens, 7u);  // runners-up exist too
  const Segment segment = records();
  EXPECT_EQ(values(segment.view(0, 0).reads), (Ids{2, 5}));
  EXPECT_EQ(values(segment.view(0, 0).ranking), (Ids{5, 2, 7, 1}));
  EXPECT_EQ(values(segment.view(1, 0).reads), (Ids{0, 1}));
  EXPECT_EQ(values(segment.view(2, 0).reads), (Ids{6}));
  options.read_k = 0;
  EXPECT_FALSE(import_text("topk-npy", array_of<std::int32_t>({1, 1, 1}, {0}), options));
}

TEST_F(TopkNpy, ComesBackAsItWas) {
  const std::string ascending = array_of<std::int32_t>({2, 2, 3}, {0, 1, 9, 2, -1, -1, 0, 4, -1, -1, -1, -1});
  ASSERT_TRUE(import_text("topk-npy", ascending));
  ASSERT_TRUE(export_to("topk-npy", dir_.path("out.npy")));
  EXPECT_EQ(testing::TempDir::read(dir_.path("out.npy")), ascending);
  const Status no_ranking = export_to("topk-npy", dir_.path("none.npy"), {.ranking = true});
  ASSERT_FALSE(no_ranking);
  expect_part(no_ranking.error().message, "holds no rankings");

  const std::string ranked = array_of<std::int32_t>({2, 1, 3}, {9, 1, 0, 4, 2, -1});
  ImportOptions options;
  options.read_k = 2;
  ASSERT_TRUE(import_text("topk-npy", ranked, options));
  ASSERT_TRUE(export_to("topk-npy", dir_.path("ranking.npy"), {.ranking = true}));
  EXPECT_EQ(testing::TempDir::read(dir_.path("ranking.npy")), ranked);
  ASSERT_TRUE(export_to("topk-npy", dir_.path("reads.npy")));
  EXPECT_EQ(testing::TempDir::read(dir_.path("reads.npy")), array_of<std::int32_t>({2, 1, 2}, {1, 9, 2, 4}));
  for (const char* name : {"fang-csv", "fang-moe-csv", "oracle-general"}) {
    EXPECT_FALSE(export_to(name, dir_.path("out"), {.ranking = true})) << name;
    EXPECT_TRUE(export_to(name, dir_.path("out"))) << name;
  }
}

TEST_F(TopkNpy, IsWideOfOneWithoutReads) {
  ASSERT_TRUE(import_text("topk-npy", array_of<std::int32_t>({2, 1, 2}, {-1, -1, -1, -1})));
  ASSERT_TRUE(export_to("topk-npy", dir_.path("out.npy")));
  EXPECT_EQ(testing::TempDir::read(dir_.path("out.npy")), array_of<std::int32_t>({2, 1, 1}, {-1, -1}));
}

TEST_F(TopkNpy, JoinsFiles) {
  const std::string first = dir_.write("a.npy", array_of<std::int32_t>({1, 2, 2}, {0, 1, 1, 2}));
  const std::string second = dir_.write("b.npy", array_of<std::int32_t>({1, 2, 3}, {0, 1, 2, 3, -1, -1}));
  const auto joined = import_files("topk-npy", {first, second, second});
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(joined->totals.steps, 3u);
  EXPECT_EQ(joined->totals.reads, 12u);
  EXPECT_EQ(joined->meta.source, "a.npy and 2 more");
  const auto other = import_files("topk-npy", {first, dir_.write("c.npy", array_of<std::int32_t>({1, 1, 1}, {0}))});
  ASSERT_FALSE(other);
  expect_part(other.error().message, "c.npy: its end: decode step 0 has layer 0 only");
}

TEST_F(TopkNpy, NamesFileAndPlace) {
  expect_part(error_of(array_of<std::int32_t>({2, 2, 2}, {0, 1, 0, 1, 0, 1, 3, -2})),
              ": decode step 1, layer 1: -2 is no id; ids are 0 to 268435455, and -1");
  expect_part(error_of(array_of<std::int32_t>({1, 1, 1}, {268435456})), ": decode step 0, layer 0: 268435456 is no id");
  expect_part(error_of(array_of<std::int64_t>({1, 1, 1}, {std::int64_t{1} << 40})), "1099511627776 is no id");
  expect_part(error_of(array_of<std::int32_t>({1, 2, 2}, {0, 1, 5, 5})),
              ": decode step 0, layer 1: block 5 is listed twice");
  expect_part(error_of(array_of<std::int32_t>({2, 1, 2}, {0, 1, 2})),
              ": decode step 1, layer 0: the file ends here, its header promises 2 decode steps of 1 layers");
  expect_part(error_of(array_of<std::int32_t>({1, 1, 2}, {0, 1, 2})), ": there is more behind the array");
  ImportOptions options;
  options.prompt_tokens = 4;
  const std::string message = error_of(array_of<std::int32_t>({2, 1, 1}, {4, 6}), options);
  expect_part(message, ": decode step 1, layer 0: block 6 is read before it exists");
  expect_part(message, "--prompt-tokens of at least 5");
  options.read_k = 1;
  expect_part(error_of(array_of<std::int32_t>({1, 1, 3}, {2, 1, 1}), options), "block 1 is listed twice");
}

TEST_F(TopkNpy, RefusesOtherArrays) {
  expect_part(error_of(""), ": is empty; expected a NumPy .npy file");
  expect_part(error_of("n,l,read_kv\n0,0,\"[1]\"\n"), ": is no .npy file, it begins with \"n,l,read\"");
  expect_part(error_of("PK\x03\x04 an archive"), ".npz");
  expect_part(error_of("\x93NUMP"), ": ends within its header");
  const std::string whole = array_of<std::int32_t>({1, 1, 1}, {0});
  expect_part(error_of(whole.substr(0, 9)), ": ends within its header");
  expect_part(error_of(whole.substr(0, 60)), ": ends within its header");
  expect_part(error_of(with_dictionary(4, "{}")), ": is of .npy version 4");
  expect_part(error_of(with_dictionary(1, "{'descr': 3}")), ": its header is damaged");
  expect_part(error_of(std::string("\x93NUMPY\x02\x00\xff\xff\xff\x7f", 12)), ": its header is damaged");
  expect_part(error_of(make_npy_header({"<f4", false, {1, 1, 1}}) + "1234"), ": has elements of type \"<f4\"");
  expect_part(error_of(make_npy_header({"<i4", true, {1, 2, 1}}) + "1234"), ": holds 4 bytes of elements");
  expect_part(error_of(make_npy_header({"<i2", false, {1, 1, 1}}) + "12"), "--experts");
  expect_part(error_of(make_npy_header({"<i4", false, {4, 4}}) + "1234"), ": has the shape (4, 4); expected three");
  expect_part(error_of(make_npy_header({"<i4", false, {0, 4, 4}})), "nothing in it");
  expect_part(error_of(make_npy_header({"<i4", false, {1, 1u << 17, 4}})), "at most");
  expect_part(error_of(make_npy_header({"<i8", false, {1ull << 31, 1u << 16, 1u << 26}})),
              ": decode step 0, layer 0: the file ends here");
}

}  // namespace
}  // namespace kvplace
