// The words of settings say what their fields do.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "kvplace/instance/options.h"
#include "kvplace/instance/settings.h"

namespace kvplace {
namespace {

std::vector<Setting> of_options() {
  std::vector<Setting> found;
  std::copy_if(settings().begin(), settings().end(), std::back_inserter(found),
               [](const Setting& setting) { return setting.key.starts_with("options."); });
  return found;
}

bool takes(const Field<InstanceOptions>& field, const std::string& text) {
  InstanceOptions options;
  return field.set(options, text).has_value() && !field.get(options).empty();
}

std::vector<std::string> split(const std::string& text, const std::string& between) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = text.find(between); end != std::string::npos; end = text.find(between, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + between.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

TEST(Settings, EveryOptionIsOneInItsPlace) {
  const std::vector<Setting> found = of_options();
  ASSERT_EQ(found.size(), option_fields().size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].key, "options." + option_fields()[i].key);
    EXPECT_EQ(found[i].doc, option_fields()[i].doc);
  }
}

TEST(Settings, NamesAreUnique) {
  std::set<std::string> names;
  for (const Setting& setting : settings()) {
    EXPECT_FALSE(setting.doc.empty()) << setting.flag;
    // A flag that takes no value says yes.
    EXPECT_EQ(setting.value.empty(), setting.range == "true, false" && !setting.flag.empty()) << setting.flag;
    for (const std::string& name : {setting.key, setting.flag, setting.keyword + "()"}) {
      EXPECT_TRUE(name.empty() || name == "()" || names.insert(name).second) << name;
    }
  }
}

TEST(Settings, ADefaultThatIsAValueIsTheOptions) {
  std::size_t values = 0;
  for (std::size_t i = 0; i < option_fields().size(); ++i) {
    const std::string set = option_fields()[i].get(InstanceOptions());
    if (!set.empty()) {
      EXPECT_EQ(of_options()[i].by_default, set) << set;
      ++values;
    }
  }
  EXPECT_GE(values, 9u);
}

TEST(Settings, RangesAreWhatFieldsTake) {
  for (std::size_t i = 0; i < option_fields().size(); ++i) {
    const Field<InstanceOptions>& field = option_fields()[i];
    const Setting setting = of_options()[i];
    SCOPED_TRACE(setting.key);
    EXPECT_FALSE(takes(field, "wrong"));
    if (setting.range == "0 to 1") {
      EXPECT_TRUE(takes(field, "0") && takes(field, "1") && takes(field, "0.5"));
      EXPECT_FALSE(takes(field, "-0.001") || takes(field, "1.001"));
    } else if (setting.range == "1 to 2^20") {
      EXPECT_TRUE(takes(field, "1") && takes(field, "1048576"));
      EXPECT_FALSE(takes(field, "0") || takes(field, "1048577"));
    } else if (setting.range == "1 to 4096") {
      EXPECT_TRUE(takes(field, "1") && takes(field, "4096"));
      EXPECT_FALSE(takes(field, "0") || takes(field, "4097"));
    } else if (setting.range == "count") {
      EXPECT_TRUE(takes(field, "0") && takes(field, "4294967295"));
      EXPECT_FALSE(takes(field, "-1") || takes(field, "1.5"));
    } else if (setting.range == "size") {
      EXPECT_TRUE(takes(field, "16GiB"));
      EXPECT_FALSE(takes(field, "16GB/s"));
    } else if (setting.range == "a number per layer") {
      EXPECT_TRUE(takes(field, "[2, 1]"));
    } else {
      EXPECT_EQ(split(setting.range, ", "), split(setting.value.empty() ? "true|false" : setting.value, "|"));
      for (const std::string& word : split(setting.range, ", ")) {
        EXPECT_TRUE(takes(field, word)) << word;
      }
    }
  }
}

}  // namespace
}  // namespace kvplace
