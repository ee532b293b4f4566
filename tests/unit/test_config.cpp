#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "kvplace/base/config.h"

namespace kvplace {
namespace {

struct Cache {
  Bytes capacity;
  std::string name;
  std::uint32_t ways = 0;
};

const std::vector<Field<Cache>>& cache_fields() {
  static const std::vector<Field<Cache>> kFields = {
      KVPLACE_FIELD(Cache, capacity, "bytes it holds"),
      KVPLACE_FIELD(Cache, name, "for messages"),
      KVPLACE_FIELD(Cache, ways, "associativity"),
  };
  return kFields;
}

Status apply(const ConfigEntry& entry, Cache& cache) { return apply_entry<Cache>(cache_fields(), entry, cache); }

TEST(ParseToml, FlattensTablesAndArraysInOrder) {
  const auto entries =
      parse_toml("name = \"x\"\n[near]\ncapacity = \"16GiB\"\nfast = true\n[[tier]]\nkv = 1.5\n", "m.toml");
  ASSERT_TRUE(entries.has_value()) << entries.error().message;
  ASSERT_EQ(entries->size(), 4u);
  EXPECT_EQ((*entries)[0].key, "name");
  EXPECT_EQ((*entries)[0].text, "x");
  EXPECT_EQ((*entries)[0].where, "m.toml:1");
  EXPECT_EQ((*entries)[1].key, "near.capacity");
  EXPECT_EQ((*entries)[1].where, "m.toml:3");
  EXPECT_EQ((*entries)[2].text, "true");
  EXPECT_EQ((*entries)[3].key, "tier.0.kv");
  EXPECT_EQ((*entries)[3].text, "1.5");
}

TEST(ParseToml, KeepsTheOrderOfTheFile) {
  const auto entries = parse_toml("zebra = 1\napple = 2\nmango = 3\n", "m.toml");
  ASSERT_TRUE(entries.has_value());
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].key, "zebra");
  EXPECT_EQ((*entries)[1].key, "apple");
  EXPECT_EQ((*entries)[2].key, "mango");
}

TEST(ParseToml, NamesFileAndLineOfAnError) {
  const auto entries = parse_toml("a = 1\nb = = 2\n", "m.toml");
  ASSERT_FALSE(entries.has_value());
  EXPECT_EQ(entries.error().kind, ErrorKind::kBadInput);
  EXPECT_TRUE(entries.error().message.starts_with("m.toml:2")) << entries.error().message;
}

TEST(ParseToml, RefusesWhatNoFieldTakes) {
  EXPECT_FALSE(parse_toml("a = 2024-01-01\n", "m.toml").has_value());
  EXPECT_FALSE(parse_toml("a = 1\na = 2\n", "m.toml").has_value());
  EXPECT_FALSE(parse_toml("a = \xff\n", "m.toml").has_value());
}

TEST(ParseToml, SurvivesDeepNesting) {
  EXPECT_FALSE(parse_toml("a = " + std::string(100'000, '['), "m.toml").has_value());
  EXPECT_FALSE(parse_toml("a = " + std::string(999, '['), "m.toml").has_value());
}

TEST(ParseToml, DottedKeysGoDeepWithoutBrackets) {
  std::string document = "a";
  for (int i = 0; i < 20'000; ++i) {
    document += ".a";
  }
  // Accepted or refused, but without running out of stack.
  [[maybe_unused]] const auto entries = parse_toml(document + " = 1\n", "m.toml");
}

TEST(ParseAssignment, SplitsAtTheFirstEqualsSign) {
  const auto entry = parse_assignment("near.name=a=b");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->key, "near.name");
  EXPECT_EQ(entry->text, "a=b");
  EXPECT_EQ(entry->where, "--set");
}

TEST(ParseAssignment, NeedsKeyAndEqualsSign) {
  EXPECT_FALSE(parse_assignment("").has_value());
  EXPECT_FALSE(parse_assignment("key").has_value());
  EXPECT_FALSE(parse_assignment("=value").has_value());
}

TEST(ApplyEntry, SetsTheFieldOfThatName) {
  Cache cache;
  ASSERT_TRUE(apply({"capacity", "2KiB", "--set"}, cache).has_value());
  ASSERT_TRUE(apply({"ways", "8", "--set"}, cache).has_value());
  ASSERT_TRUE(apply({"name", "near", "--set"}, cache).has_value());
  EXPECT_EQ(cache.capacity, Bytes(2048));
  EXPECT_EQ(cache.ways, 8u);
  EXPECT_EQ(cache.name, "near");
}

TEST(ApplyEntry, UnknownKeyNamesTheNearest) {
  Cache cache;
  const Status status = apply({"capasity", "2KiB", "m.toml:7"}, cache);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kBadInput);
  EXPECT_TRUE(status.error().message.starts_with("m.toml:7")) << status.error().message;
  EXPECT_NE(status.error().message.find("\"capacity\""), std::string::npos) << status.error().message;
}

TEST(ApplyEntry, ABadValueNamesPlaceAndKeyAndChangesNothing) {
  Cache cache;
  cache.capacity = Bytes(5);
  for (const char* text : {"two", "2"}) {  // a bare number says no unit
    const Status bad = apply({"capacity", text, "m.toml:3"}, cache);
    ASSERT_FALSE(bad.has_value()) << text;
    EXPECT_TRUE(bad.error().message.starts_with("m.toml:3: capacity: ")) << bad.error().message;
    EXPECT_EQ(cache.capacity, Bytes(5));
  }
  EXPECT_FALSE(apply({"ways", "4294967296", "--set"}, cache).has_value());
  EXPECT_EQ(cache.ways, 0u);
}

TEST(Fields, PrintWhatWasSetAndNothingElse) {
  Cache cache;
  EXPECT_EQ(cache_fields()[0].get(cache), "");
  cache.capacity = Bytes(2048);
  EXPECT_EQ(cache_fields()[0].get(cache), "2KiB");
  EXPECT_TRUE(cache_fields()[0].is_text);
  EXPECT_FALSE(cache_fields()[2].is_text);
}

TEST(WithoutPrefix, DropsOnePart) {
  EXPECT_EQ(without_prefix({"hardware.near.capacity", "1B", "--set"}, "hardware").key, "near.capacity");
}

}  // namespace
}  // namespace kvplace
