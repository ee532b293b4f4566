/// Sentences that are there if and only if a condition holds, and tests that see both.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace kvplace::testing {

inline bool says(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

/// How often a sentence was there, and how often it was not.
class Sides {
 public:
  void expect(const std::string& text, const std::string& words, bool holds) {
    EXPECT_EQ(says(text, words), holds) << words << " in:\n" << text;
    ++(holds ? there_ : missing_)[words];
  }
  /// All that were asked for were seen on both sides.
  void both() const {
    for (const auto& [words, count] : there_) {
      EXPECT_TRUE(missing_.contains(words)) << "always there: " << words;
    }
    for (const auto& [words, count] : missing_) {
      EXPECT_TRUE(there_.contains(words)) << "never there: " << words;
    }
  }

 private:
  std::map<std::string, int> there_;
  std::map<std::string, int> missing_;
};

}  // namespace kvplace::testing
