#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "kvplace/trace/formats.h"
#include "support/format_test.h"
#include "trace/byte_order.h"
#include "trace/byte_sink.h"
#include "trace/byte_source.h"

namespace kvplace {
namespace {

using testing::expect_part;
using testing::FormatTest;
using testing::gzip;
using testing::Ids;
using testing::values;
using testing::zstd;

ImportOptions pages_of(std::uint32_t block_tokens) {
  ImportOptions options;
  options.block_tokens = block_tokens;
  return options;
}

class FangCsv : public FormatTest {
 protected:
  std::string error_of(std::string_view rows, const ImportOptions& options = {}) {
    return import_error("fang-csv", "n,l,read_kv\n" + std::string(rows), options);
  }
};

TEST_F(FangCsv, ReadsRowsInOrder) {
  const auto summary = import_text("fang-csv", "n,l,read_kv\n0,0,\"[3, 1]\"\n0,1,\"[0]\"\n1,0,\"[4]\"\n1,1,\"[]\"\n");
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->totals.steps, 2u);
  EXPECT_EQ(summary->totals.reads, 4u);
  EXPECT_EQ(summary->meta.layers, 2u);
  EXPECT_EQ(summary->meta.source, "source");
  EXPECT_FALSE(summary->meta.has_ranking);
  const Segment segment = records();
  EXPECT_EQ(values(segment.view(0, 0).reads), (Ids{1, 3}));
  EXPECT_EQ(values(segment.view(0, 0).appended), (Ids{3}));
  EXPECT_EQ(values(segment.view(0, 1).reads), (Ids{0}));
  EXPECT_EQ(values(segment.view(1, 0).reads), (Ids{4}));
  EXPECT_EQ(values(segment.view(1, 1).reads), (Ids{}));
  EXPECT_EQ(values(segment.view(1, 1).appended), (Ids{4}));
}

TEST_F(FangCsv, ToleratesSpacesLineEndsAndUnquotedShortLists) {
  const auto plain = import_text("fang-csv", "n,l,read_kv\n0,0,\"[1, 2]\"\n1,0,\"[3]\"\n2,0,\"[]\"\n");
  ASSERT_TRUE(plain);
  const auto other =
      import_text("fang-csv", "\xef\xbb\xbfn, l, read_kv\r\n 0 , 0,\"[ 1,2 ]\" \r\n1,0,[3]\r\n\r\n2,0,[]");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(plain->totals.digest, other->totals.digest);
}

TEST_F(FangCsv, InfersThePrompt) {
  const auto tokens = import_text("fang-csv", "n,l,read_kv\n0,0,\"[7]\"\n1,0,\"[9]\"\n2,0,\"[8]\"\n");
  ASSERT_TRUE(tokens);
  EXPECT_TRUE(tokens->prompt_tokens_inferred);
  EXPECT_EQ(tokens->meta.layout.prompt_tokens, 8u);
  const auto pages = import_text("fang-csv", "n,l,read_kv\n0,0,\"[1]\"\n1,0,\"[2]\"\n2,0,\"[2]\"\n", pages_of(16));
  ASSERT_TRUE(pages);
  EXPECT_EQ(pages->meta.layout.prompt_tokens, 31u);
  EXPECT_EQ(values(records().view(0, 0).appended), (Ids{1}));
  EXPECT_EQ(values(records().view(1, 0).appended), (Ids{2}));
  const auto none = import_text("fang-csv", "n,l,read_kv\n0,0,\"[0]\"\n1,0,\"[0, 1]\"\n");
  ASSERT_TRUE(none);
  EXPECT_EQ(none->meta.layout.prompt_tokens, 0u);
  ImportOptions given = pages_of(16);
  given.prompt_tokens = 100;
  const auto kept = import_text("fang-csv", "n,l,read_kv\n0,0,\"[0]\"\n", given);
  ASSERT_TRUE(kept);
  EXPECT_FALSE(kept->prompt_tokens_inferred);
  EXPECT_EQ(kept->meta.layout.prompt_tokens, 100u);
}

TEST_F(FangCsv, RefusesBlocksThatDoNotExistYet) {
  ImportOptions options = pages_of(16);
  options.prompt_tokens = 32;
  const std::string message = error_of("0,0,\"[2]\"\n1,0,\"[0, 3]\"\n", options);
  expect_part(message, ":3: block 3 is read before it exists");
  expect_part(message, "--prompt-tokens of at least 47");
  expect_part(message, "--block-tokens");
  expect_part(error_of("0,0,\"[268435455]\"\n", pages_of(64)), ":2: block 268435455 of 64 tokens would need a prompt");
}

TEST_F(FangCsv, NamesTheLineOfBadRows) {
  expect_part(import_error("fang-csv", ""), ": is empty; expected the header n,l,read_kv");
  expect_part(import_error("fang-csv", "n,l,read_kv\n"), ": holds no rows");
  expect_part(import_error("fang-csv", "0,0,\"[1]\"\n"), ":1: expected the header n,l,read_kv, found");
  expect_part(error_of("0,0,\"[1]\"\n1,0,\"[-4]\"\n"), ":3: column read_kv (character 7): id \"-4\" is negative");
  expect_part(error_of("0,0,\"[1.5]\"\n"), ":2: column read_kv (character 7): id \"1.5\" has a fraction");
  expect_part(error_of("0,0,\"[1, x7]\"\n"), "id \"x7\" is no number; ids are whole numbers from 0 to 268435455");
  expect_part(error_of("0,0,\"[268435456]\"\n"), ":2: column read_kv (character 7): id \"268435456\" is too large");
  expect_part(error_of("0,0,\"[99999999999999999999999]\"\n"), "is too large");
  expect_part(error_of("0,0,\"[1 2]\"\n"), "expected a comma or a ] behind id \"1\"");
  expect_part(error_of("0,0,\"[1,,2]\"\n"), "expected an id");
  expect_part(error_of("0,0,\"[1, 2\"\n"), "the list has no ] at its end");
  expect_part(error_of("0,0,\"[1, 2"), "the list has no ] at its end, found the end of the line");
  expect_part(error_of("0,0,\"[1, 2]\n"), "expected a double quote behind the list, found the end of the line");
  expect_part(error_of("0,0,[1, 2]\n"), "the list is not in double quotes");
  expect_part(error_of("0,0,\"[1]\",7\n"), "the row has more columns than 3");
  expect_part(error_of("0,0,\"[1]\"x\n"), "expected a comma or the end of the line behind it");
  expect_part(error_of("0,0\n"), "column read_kv (character 4): missing, the row has 2 of 3 columns");
  expect_part(error_of("0,0,\n"), "expected a list of ids in double quotes");
  expect_part(error_of("-1,0,\"[]\"\n"), "column n (character 1): expected a whole number of 0 or more");
  expect_part(error_of("1.0,0,\"[]\"\n"), "column n (character 1): expected a whole number");
  expect_part(error_of("0,0000000000000000000,\"[]\"\n"), "column l (character 3): expected a number of at most 18");
  expect_part(error_of(std::string_view("0,0,\"[1\0]\"\n", 11)), "found a NUL byte");
  expect_part(error_of(std::string_view("0,0,\"[1]\"\n\0\n", 12)), ":3: column n (character 1)");
  expect_part(error_of("0,0,\"[5, 1, 5]\"\n"), ":2: block 5 is listed twice");
}

TEST_F(FangCsv, NamesTheLineOfRowsOutOfOrder) {
  expect_part(error_of("1,0,\"[]\"\n"), ":2: the first decode step is 1, it must be 0");
  expect_part(error_of("0,1,\"[]\"\n"), ":2: decode step 0 begins with layer 1");
  expect_part(error_of("0,0,\"[]\"\n2,0,\"[]\"\n"), ":3: decode step 2 comes too early, decode step 1 is next");
  expect_part(error_of("0,0,\"[]\"\n1,0,\"[]\"\n0,0,\"[]\"\n"), ":4: decode step 0 comes again, decode step 2 is next");
  expect_part(error_of("0,0,\"[]\"\n0,2,\"[]\"\n"), ":3: decode step 0: layer 2 comes too early, layer 1 is next");
  expect_part(error_of("0,0,\"[]\"\n0,0,\"[]\"\n"), ":3: decode step 0: layer 0 comes again, layer 1 is next");
  expect_part(error_of("0,0,\"[]\"\n0,1,\"[]\"\n1,0,\"[]\"\n2,0,\"[]\"\n"),
              ":5: decode step 1 has layer 0 only, the steps before it layers 0 to 1");
  expect_part(error_of("0,0,\"[]\"\n0,1,\"[]\"\n1,0,\"[]\"\n"), ": its end: decode step 1 has layer 0 only");
  expect_part(error_of("0,0,\"[]\"\n1,0,\"[]\"\n1,1,\"[]\"\n"), ":4: decode step 1: there is a layer 1");
  expect_part(error_of("0,0,\"[]\"\n0,99999999,\"[]\"\n"), ":3: decode step 0: layer 99999999 comes too early");
}

TEST_F(FangCsv, RefusesWrongOptions) {
  const std::string path = dir_.write("source", "n,l,read_kv\n0,0,\"[]\"\n");
  ImportOptions options;
  options.read_k = 4;
  const auto ranked = import_files("fang-csv", {path}, options);
  ASSERT_FALSE(ranked);
  expect_part(ranked.error().message, "--read");
  const auto no_tokens = import_files("fang-csv", {path}, pages_of(0));
  ASSERT_FALSE(no_tokens);
  expect_part(no_tokens.error().message, "--block-tokens");
  EXPECT_FALSE(import_files("fang-csv", {}));
  EXPECT_FALSE(import_files("fang-csv", {dir_.path("")}));
  EXPECT_FALSE(import_files("fang-csv", {dir_.path("missing.csv")}));
  const auto device = import_files("fang-csv", {"/dev/null"});
  ASSERT_FALSE(device);
  expect_part(device.error().message, "save it to a file first");
}

TEST_F(FangCsv, ReadsCompressedFiles) {
  const std::string text = "n,l,read_kv\n0,0,\"[1, 2]\"\n1,0,\"[2, 3]\"\n";
  const auto plain = import_text("fang-csv", text);
  const auto gz = import_text("fang-csv", gzip(text));
  const auto zst = import_text("fang-csv", zstd(text));
  const auto two_parts = import_text("fang-csv", zstd(text.substr(0, 20)) + zstd(text.substr(20)));
  const auto two_members = import_text("fang-csv", gzip(text.substr(0, 20)) + gzip(text.substr(20)));
  for (const auto& other : {gz, zst, two_parts, two_members}) {
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ(other->totals.digest, plain->totals.digest);
  }
}

TEST_F(FangCsv, RecognisesDamagedCompression) {
  std::string text = "n,l,read_kv\n";
  for (int step = 0; step < 3000; ++step) {
    text += std::to_string(step) + ",0,\"[" + std::to_string(step * 7919 % 3000) + "]\"\n";
  }
  for (const auto& [packed, name] : {std::pair(gzip(text), "gzip"), std::pair(zstd(text), "zstd")}) {
    expect_part(import_error("fang-csv", packed.substr(0, packed.size() / 2)), std::string(name) + " data is cut off");
    expect_part(import_error("fang-csv", packed.substr(0, packed.size() - 3)), std::string(name) + " data is cut off");
    expect_part(import_error("fang-csv", packed + "some more text"), std::string(name) + " data is damaged");
    std::string broken = packed;
    broken[packed.size() / 2] = static_cast<char>(broken[packed.size() / 2] ^ 0x55);
    broken[packed.size() / 2 + 1] = static_cast<char>(broken[packed.size() / 2 + 1] ^ 0x55);
    EXPECT_NE(import_error("fang-csv", broken), "no error");
  }
}

TEST_F(FangCsv, JoinsFiles) {
  const std::string head = "n,l,read_kv\n";
  const auto whole = import_text("fang-csv", head + "0,0,\"[0]\"\n1,0,\"[1]\"\n2,0,\"[2]\"\n3,0,\"[1]\"\n");
  const std::string first = dir_.write("a.csv", head + "0,0,\"[0]\"\n1,0,\"[1]\"\n");
  const std::string goes_on = dir_.write("b.csv", head + "2,0,\"[2]\"\n3,0,\"[1]\"\n");
  const std::string restarts = dir_.write("c.csv", head + "0,0,\"[2]\"\n1,0,\"[1]\"\n");
  for (const std::string& second : {goes_on, restarts}) {
    const auto joined = import_files("fang-csv", {first, second});
    ASSERT_TRUE(joined) << joined.error().message;
    EXPECT_EQ(joined->totals.digest, whole->totals.digest);
    EXPECT_EQ(joined->meta.source, "a.csv and 1 more");
  }
  const auto gap = import_files("fang-csv", {first, dir_.write("d.csv", head + "3,0,\"[2]\"\n")});
  ASSERT_FALSE(gap);
  expect_part(gap.error().message, "d.csv:2: decode step 3 comes too early, decode step 2 is next");
  const auto wider = import_files("fang-csv", {first, dir_.write("e.csv", head + "2,0,\"[2]\"\n2,1,\"[0]\"\n")});
  ASSERT_FALSE(wider);
  expect_part(wider.error().message, "e.csv:3: decode step 2: there is a layer 1, the steps before it have layer 0");
}

TEST_F(FangCsv, ComesBackAsItWas) {
  const std::string text = "n,l,read_kv\n0,0,\"[1, 2]\"\n0,1,\"[]\"\n1,0,\"[2, 3, 17]\"\n1,1,\"[5]\"\n";
  ASSERT_TRUE(import_text("fang-csv", text, pages_of(16)));
  ASSERT_TRUE(export_to("fang-csv", dir_.path("out.csv")));
  EXPECT_EQ(testing::TempDir::read(dir_.path("out.csv")), text);
  const auto first = import_files("fang-csv", {dir_.path("out.csv")}, pages_of(16));
  for (const std::string name : {"out.csv.gz", "out.csv.zst"}) {
    ASSERT_TRUE(export_to("fang-csv", dir_.path(name)));
    const auto again = import_files("fang-csv", {dir_.path(name)}, pages_of(16));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->totals.digest, first->totals.digest);
  }
}

TEST_F(FangCsv, StopsOnRequest) {
  Interrupt interrupt;
  interrupt.request();
  context_.interrupt = &interrupt;
  const auto stopped = import_text("fang-csv", "n,l,read_kv\n0,0,\"[0]\"\n");
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind, ErrorKind::kInterrupted);
  EXPECT_FALSE(std::filesystem::exists(trace_path()));
}

/// Counts what it is told.
class CountingProgress : public Progress {
 public:
  void start(std::string_view what, std::uint64_t total, std::string_view unit) override {
    started.push_back(std::string(what) + " " + std::to_string(total) + " " + std::string(unit));
  }
  void update(std::uint64_t done) override { last = done; }
  void finish() override { ++finished; }

  std::vector<std::string> started;
  std::uint64_t last = 0;
  std::size_t finished = 0;
};

TEST_F(FangCsv, ReportsProgress) {
  CountingProgress progress;
  context_.progress = &progress;
  ASSERT_TRUE(import_text("fang-csv", "n,l,read_kv\n0,0,\"[0]\"\n1,0,\"[1]\"\n"));
  EXPECT_EQ(progress.started, (std::vector<std::string>{"checking the rows 0 rows", "importing 2 rows"}));
  ASSERT_TRUE(export_to("fang-csv", dir_.path("out")));
  EXPECT_EQ(progress.started.back(), "exporting 2 rows");
  EXPECT_EQ(progress.finished, 3u);
  EXPECT_EQ(progress.last, 2u);
}

const std::string kMoeHead = "query_id,token_id,layer_id,experts,attention\n";

using FangMoeCsv = FormatTest;

TEST_F(FangMoeCsv, InterleavesQueriesBehindExperts) {
  const auto summary = import_text("fang-moe-csv", kMoeHead +
                                                       "7,5,0,\"[3, 1]\",\"[2, 0]\"\n"
                                                       "7,6,0,\"[0]\",\"[3]\"\n"
                                                       "9,0,0,\"[2]\",\"[1]\"\n"
                                                       "7,7,0,\"[0]\",\"[4]\"\n");
  ASSERT_TRUE(summary) << summary.error().message;
  const BlockLayout& layout = summary->meta.layout;
  EXPECT_EQ(layout.experts, 4u);
  EXPECT_EQ(layout.requests, 2u);
  EXPECT_EQ(layout.prompt_tokens, 2u);
  const Segment segment = records();
  EXPECT_EQ(values(segment.view(0, 0).reads), (Ids{1, 3, 4, 8}));
  EXPECT_EQ(values(segment.view(0, 0).appended), (Ids{8}));
  EXPECT_EQ(values(segment.view(1, 0).reads), (Ids{0, 10}));
  EXPECT_EQ(values(segment.view(2, 0).reads), (Ids{2, 7}));
  EXPECT_EQ(values(segment.view(2, 0).appended), (Ids{9}));
  EXPECT_EQ(values(segment.view(3, 0).appended), (Ids{12}));
  ASSERT_TRUE(export_to("fang-moe-csv", dir_.path("out.csv")));
  EXPECT_EQ(testing::TempDir::read(dir_.path("out.csv")), kMoeHead +
                                                              "0,0,0,\"[1, 3]\",\"[0, 2]\"\n"
                                                              "0,1,0,\"[0]\",\"[3]\"\n"
                                                              "1,0,0,\"[2]\",\"[1]\"\n"
                                                              "0,2,0,\"[0]\",\"[4]\"\n");
  const std::string digest = summary->totals.digest;
  const auto again = import_files("fang-moe-csv", {dir_.path("out.csv")});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->totals.digest, digest);
}

TEST_F(FangMoeCsv, HasNoPagesWithoutAttention) {
  const auto summary = import_text("fang-moe-csv", kMoeHead + "0,0,0,\"[1, 2]\",[]\n0,1,0,\"[0]\",[]\n");
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->totals.blocks_per_layer, 3u);
  EXPECT_FALSE(summary->prompt_tokens_inferred);
  EXPECT_TRUE(records().view(1, 0).appended.empty());
}

TEST_F(FangMoeCsv, NamesTheLine) {
  const auto error_of = [this](const std::string& rows) { return import_error("fang-moe-csv", kMoeHead + rows); };
  expect_part(error_of("0,0,0,\"[1]\"\n"), ":2: column attention (character 12): missing, the row has 4 of 5 columns");
  expect_part(error_of("0,0,0,\"[-1]\",\"[]\"\n"), ":2: column experts (character 9): id \"-1\" is negative");
  expect_part(error_of("0,0,0,\"[1, 1]\",\"[]\"\n"), ":2: expert 1 is listed twice");
  expect_part(error_of("0,0,0,\"[]\",\"[]\"\n0,2,0,\"[]\",\"[]\"\n"),
              ":3: decode step 2 of query 0 comes too early, decode step 1 is next");
  expect_part(import_error("fang-moe-csv", "n,l,read_kv\n"), ":1: expected the header query_id,token_id");
}

TEST_F(FangMoeCsv, TakesARestartInAFurtherFileForAnotherQuery) {
  const std::string a = dir_.write("a.csv", kMoeHead + "0,0,0,\"[0]\",\"[0]\"\n");
  const std::string b = dir_.write("b.csv", kMoeHead + "0,1,0,\"[0]\",\"[1]\"\n");
  const auto restarts = import_files("fang-moe-csv", {a, a});
  ASSERT_TRUE(restarts);
  EXPECT_EQ(restarts->meta.layout.requests, 2u);
  const auto goes_on = import_files("fang-moe-csv", {a, b});
  ASSERT_TRUE(goes_on);
  EXPECT_EQ(goes_on->meta.layout.requests, 1u);
}

TEST_F(FangMoeCsv, IsRefusedByFormatsWithoutExperts) {
  ASSERT_TRUE(import_text("fang-moe-csv", kMoeHead + "0,0,0,\"[0]\",\"[0]\"\n"));
  for (const char* name : {"fang-csv", "topk-npy"}) {
    const Status status = export_to(name, dir_.path("out"));
    ASSERT_FALSE(status);
    expect_part(status.error().message, "export it as fang-moe-csv");
    EXPECT_FALSE(std::filesystem::exists(dir_.path("out")));
  }
}

using OracleGeneral = FormatTest;

TEST_F(OracleGeneral, TellsTheNextReadOfEveryBlock) {
  std::string text = "n,l,read_kv\n";
  std::uint32_t state = 1;
  for (int step = 0; step < 60; ++step) {
    for (int layer = 0; layer < 3; ++layer) {
      text += std::to_string(step) + "," + std::to_string(layer) + ",\"[";
      std::string separator;
      for (int id = 0; id < 30; ++id) {
        state = state * 1664525 + 1013904223;
        if (state >> 29 == 0) {
          text += separator + std::to_string(id);
          separator = ",";
        }
      }
      text += "]\"\n";
    }
  }
  ImportOptions options;
  options.block_bytes = Bytes(16384);
  options.writer.chunk_bytes = 1;  // a chunk per decode step
  const auto summary = import_text("fang-csv", text, options);
  ASSERT_TRUE(summary);
  ASSERT_TRUE(export_to("oracle-general", dir_.path("out")));
  const std::string bytes = testing::TempDir::read(dir_.path("out"));
  constexpr std::size_t kRecordBytes = 24;
  ASSERT_EQ(bytes.size(), summary->totals.reads * kRecordBytes);

  std::map<std::uint64_t, std::int64_t> next;
  for (std::size_t i = summary->totals.reads; i-- > 0;) {
    const char* record = bytes.data() + i * kRecordBytes;
    const auto object = load_little_endian<std::uint64_t>(record + 4);
    EXPECT_LT(object >> 32, 3u);
    EXPECT_LT(object & 0xffffffff, 30u);
    EXPECT_EQ(load_little_endian<std::uint32_t>(record + 12), 16384u);
    const auto expected = next.contains(object) ? next[object] : -1;
    EXPECT_EQ(load_little_endian<std::int64_t>(record + 16), expected) << i;
    next[object] = static_cast<std::int64_t>(i);
  }
  std::size_t i = 0;
  const Result<TraceReader> trace = TraceReader::open(trace_path());
  for (std::size_t chunk = 0; chunk < trace->num_chunks(); ++chunk) {
    const auto segment = trace->chunk(chunk);
    for (std::uint32_t step = segment->first_step(); step < segment->end_step(); ++step) {
      for (std::uint32_t layer = 0; layer < 3; ++layer) {
        for (const BlockId id : segment->view(step, layer).reads) {
          const char* record = bytes.data() + i++ * kRecordBytes;
          EXPECT_EQ(load_little_endian<std::uint32_t>(record), step);
          EXPECT_EQ(load_little_endian<std::uint64_t>(record + 4), std::uint64_t{layer} << 32 | id.value());
        }
      }
    }
  }
  EXPECT_EQ(i, summary->totals.reads);
}

TEST(FormatRegistry, FindsAndSuggests) {
  EXPECT_TRUE(FormatRegistry::instance().find("oracle-general"));
  const auto typo = FormatRegistry::instance().find("fang-cvs");
  ASSERT_FALSE(typo);
  expect_part(typo.error().message, "fang-csv");
}

TEST(LineReader, LimitsTheLengthOfALine) {
  const testing::TempDir dir;
  auto source = ByteSource::open(dir.write("long", "short\n" + std::string(100, 'x') + "\n"));
  ASSERT_TRUE(source);
  LineReader lines(std::move(*source), 99);
  std::string_view line;
  EXPECT_TRUE(*lines.next(line));
  EXPECT_EQ(line, "short");
  const auto too_long = lines.next(line);
  ASSERT_FALSE(too_long);
  expect_part(too_long.error().message, "long:2: is longer than 99 bytes");
}

TEST(LineReader, JoinsLinesAcrossReads) {
  const testing::TempDir dir;
  std::string text;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 40; ++i) {
    expected.push_back(std::string(i * 20000, static_cast<char>('a' + i % 26)));
    text += expected.back() + (i % 2 == 0 ? "\n" : "\r\n");
  }
  for (const std::string& stored : {text, gzip(text), zstd(text)}) {
    auto source = ByteSource::open(dir.write("text", stored));
    LineReader lines(std::move(*source));
    std::string_view line;
    for (const std::string& wanted : expected) {
      ASSERT_TRUE(*lines.next(line));
      EXPECT_TRUE(line == wanted);
    }
    EXPECT_FALSE(*lines.next(line));
  }
}

TEST(ByteSink, LeavesNothingWithoutCommit) {
  const testing::TempDir dir;
  for (const std::string name : {"a", "a.gz", "a.zst"}) {
    {
      auto sink = ByteSink::create(dir.path(name));
      ASSERT_TRUE(sink && sink->write("some text"));
    }
    EXPECT_TRUE(std::filesystem::is_empty(dir.path("")));
  }
}

}  // namespace
}  // namespace kvplace
