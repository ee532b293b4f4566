#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "support/format_test.h"
#include "trace/base64.h"
#include "trace/flat_topk.h"

namespace kvplace {
namespace {

using testing::expect_part;

std::string decoded(std::string_view text) {
  const auto bytes = base64_decode(text);
  return bytes ? std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "none";
}

TEST(Base64, DecodesTheExamplesOfTheStandard) {
  EXPECT_EQ(decoded(""), "");
  EXPECT_EQ(decoded("Zg=="), "f");
  EXPECT_EQ(decoded("Zm8="), "fo");
  EXPECT_EQ(decoded("Zm9v"), "foo");
  EXPECT_EQ(decoded("Zm9vYg=="), "foob");
  EXPECT_EQ(decoded("Zm9vYmE="), "fooba");
  EXPECT_EQ(decoded("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decoded("+/+/"), "\xfb\xff\xbf");
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zm9v\n", "Zm9-", "Z===", "=Zg=", "Zg==Zg=="}) {
    EXPECT_EQ(decoded(text), "none") << text;
  }
}

std::vector<std::byte> elements(const std::vector<std::int32_t>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(std::int32_t));
  std::ranges::copy(std::as_bytes(std::span(values)), bytes.begin());
  return bytes;
}

std::string error_of(const std::vector<std::int32_t>& values, const FlatShape& known) {
  const auto array = shape_flat("x", elements(values), known);
  return array ? "no error" : array.error().message;
}

TEST(FlatTopk, FindsLayersByThePaddingOfTheFirstRow) {
  const std::vector<std::int32_t> values{7, -1, -1, 5, -1, -1, 1, 0, -1, 0, 1, -1};
  const auto array = shape_flat("x", elements(values), {2, {}, {}});
  ASSERT_TRUE(array) << array.error().message;
  EXPECT_EQ(array->shape.tokens, 2u);
  EXPECT_EQ(array->shape.layers, 2u);
  EXPECT_EQ(array->shape.k, 3u);
}

TEST(FlatTopk, SkipsRowsThatHoldNothing) {
  const std::vector<std::int32_t> values{-1, -1, -1, -1, 0, -1, 0, -1};
  const auto array = shape_flat("x", elements(values), {2, {}, {}});
  ASSERT_TRUE(array) << array.error().message;
  EXPECT_EQ(array->shape.layers, 2u);
}

TEST(FlatTopk, TakesWhatIsKnown) {
  const std::vector<std::int32_t> values{0, 1, 2, 3, 4, 5, 6, 7};
  const FlatShape of_layers{2, 2, {}};
  const FlatShape of_k{2, {}, 2};
  const FlatShape of_both{{}, 2, 2};
  for (const FlatShape& known : {of_layers, of_k, of_both}) {
    const auto array = shape_flat("x", elements(values), known);
    ASSERT_TRUE(array) << array.error().message;
    EXPECT_EQ(array->shape.tokens * 100 + array->shape.layers * 10 + array->shape.k, 222u);
  }
}

TEST(FlatTopk, AsksForWhatNothingTells) {
  expect_part(error_of({0, 1, 2, 3}, {2, {}, {}}), "say how many they are with --layers");
  expect_part(error_of({0, -1, 1, 2}, {1, {}, {}}), "--layers");  // layers of one row hold equally many
  expect_part(error_of({-1, -1}, {2, {}, {}}), "--layers");
  expect_part(error_of({0, 1, 2, 3}, {}), "does not say how many tokens");
  expect_part(error_of({0, 1, 2, 3}, {3, {}, {}}), "cannot be divided by 3 tokens");
  expect_part(error_of({0, 1, 2, 3}, {2, 3, {}}), "cannot be divided by 3 layers");
  expect_part(error_of({0, 1, 2, 3}, {2, {}, 3}), "cannot be divided by 3 ids per row");
  expect_part(error_of({0, 1, 2, 3}, {{}, 3, 1}), "cannot be divided by 3 ids of a token");
  expect_part(error_of({}, {1, 1, 1}), "no array of int32");
}

}  // namespace
}  // namespace kvplace
