// No output takes the place of an input, of another output, or of what another run writes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "kvplace/base/file_guard.h"
#include "support/temp_dir.h"

namespace kvplace {
namespace {

using testing::TempDir;

class FileGuard : public ::testing::Test {
 protected:
  FileGuard() {
    folder_.write("in", "input");
    std::filesystem::create_symlink("in", folder_.path("symbolic"));
    std::filesystem::create_hard_link(folder_.path("in"), folder_.path("hard"));
    std::filesystem::create_directory(folder_.path("sub"));
  }

  [[nodiscard]] std::string in() const { return folder_.path("in"); }
  [[nodiscard]] std::vector<std::string> names_of_input() const {
    return {in(), folder_.path("./in"), folder_.path("sub/../in"), folder_.path("symbolic"), folder_.path("hard")};
  }
  static Status write(const std::string& path, std::string_view text = "output") {
    KVPLACE_ASSIGN(file, OutputFile::create(path));
    KVPLACE_TRY(file.write(text));
    return file.commit();
  }
  static void expect_refused(const Status& status, ErrorKind kind, const std::string& fragment) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().kind, kind);
    EXPECT_NE(status.error().message.find(fragment), std::string::npos) << status.error().message;
  }
  [[nodiscard]] std::size_t num_files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_.path(".")), {}));
  }

  TempDir folder_;
};

TEST_F(FileGuard, AnOpenInputIsNotReplacedByAnyName) {
  const std::size_t before = num_files();
  const auto file = open_for_reading(in());
  ASSERT_TRUE(file);
  for (const std::string& name : names_of_input()) {
    expect_refused(write(name), ErrorKind::kBadInput, name + ": is the input as well");
    expect_refused(FileScope().claim(name), ErrorKind::kBadInput, name + ": is the input as well");
  }
  EXPECT_EQ(TempDir::read(in()), "input");
  EXPECT_EQ(num_files(), before);
}

TEST_F(FileGuard, AClosedInputMayBeReplacedUnlessTheScopeReadIt) {
  {
    const FileScope files;
    ASSERT_TRUE(read_small_file(in()));
    for (const std::string& name : names_of_input()) {
      expect_refused(write(name), ErrorKind::kBadInput, "is the input as well");
    }
  }
  EXPECT_TRUE(write(in()));
  EXPECT_EQ(TempDir::read(in()), "output");
}

TEST_F(FileGuard, AnInputThatWasMovedIsStillOne) {
  const auto file = open_for_reading(in());
  std::filesystem::rename(in(), folder_.path("moved"));
  expect_refused(write(folder_.path("moved")), ErrorKind::kBadInput, "is the input as well");
  EXPECT_TRUE(write(in()));
}

TEST_F(FileGuard, AnInputUseHoldsWithoutAScope) {
  {
    const InputUse use(folder_.path("symbolic"));
    expect_refused(write(in()), ErrorKind::kBadInput, "is the input as well (" + folder_.path("symbolic") + ")");
  }
  EXPECT_TRUE(write(in()));
}

TEST_F(FileGuard, AClaimedOutputIsNotRead) {
  for (const std::string& name : names_of_input()) {
    FileScope files;
    ASSERT_TRUE(files.claim(name));
    const auto file = open_for_reading(in());
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message.find(name + ": is the input as well"), std::string::npos);
  }
}

TEST_F(FileGuard, AnUpdatedOutputIsReadAndWrittenAsOftenAsWanted) {
  FileScope files;
  ASSERT_TRUE(files.claim(in(), OutputMode::kUpdates));
  EXPECT_EQ(read_small_file(in()).value(), "input");
  for (const char* text : {"first", "second", "third"}) {
    ASSERT_TRUE(write(in(), text));
    EXPECT_EQ(read_small_file(in()).value(), text);
  }
}

TEST_F(FileGuard, TwoOutputsOfOneScopeAreTwoFiles) {
  const std::string out = folder_.path("out");
  FileScope files;
  ASSERT_TRUE(files.claim(out));
  std::filesystem::create_symlink("out", folder_.path("to_out"));
  for (const std::string& name : {out, folder_.path("./out"), folder_.path("to_out")}) {
    expect_refused(files.claim(name), ErrorKind::kBadInput, name + ": is the name of two outputs");
  }
  FileScope inner;
  EXPECT_TRUE(inner.claim(out));  // the same output, claimed by what the outer one calls
  EXPECT_TRUE(files.claim(folder_.path("symbolic")));
  expect_refused(files.claim(folder_.path("hard")), ErrorKind::kBadInput, "two outputs");
}

TEST_F(FileGuard, AnOutputThatWasNotClaimedIsWrittenOnce) {
  const FileScope files;
  ASSERT_TRUE(write(folder_.path("out"), "first"));
  expect_refused(write(folder_.path("sub/../out")), ErrorKind::kBadInput, "two outputs");
  EXPECT_EQ(TempDir::read(folder_.path("out")), "first");
}

/// Inodes are used again: what was deleted says nothing about what comes after it.
TEST_F(FileGuard, WhatIsGoneIsForgotten) {
  const FileScope files;
  for (int i = 0; i < 20; ++i) {
    const std::string folder = folder_.path("temporary");
    std::filesystem::create_directory(folder);
    ASSERT_TRUE(write(folder + "/out"));
    ASSERT_TRUE(read_small_file(folder + "/out"));
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(write(folder_.path("other" + std::to_string(i))));
  }
}

TEST_F(FileGuard, OneWriterAtATime) {
  const std::string out = folder_.path("out");
  {
    auto first = OutputFile::create(out);
    ASSERT_TRUE(first);
    expect_refused(write(out), ErrorKind::kFailed, "is being written already");
    const pid_t other = fork();
    if (other == 0) {
      const Status status = write(out);
      _exit(!status && status.error().kind == ErrorKind::kFailed ? 0 : 1);
    }
    int exit_code = -1;
    ASSERT_EQ(waitpid(other, &exit_code, 0), other);
    EXPECT_EQ(exit_code, 0);
    ASSERT_TRUE(first->write("first"));
    ASSERT_TRUE(first->commit());
  }
  EXPECT_EQ(TempDir::read(out), "first");
  EXPECT_TRUE(write(out, "second"));
  EXPECT_EQ(TempDir::read(out), "second");
}

TEST_F(FileGuard, TheLockOfAKilledRunIsTakenOver) {
  folder_.write(".out.lock", "");
  EXPECT_TRUE(write(folder_.path("out")));
  EXPECT_FALSE(std::filesystem::exists(folder_.path(".out.lock")));
}

TEST_F(FileGuard, WhatAnotherProgramPutsThereStays) {
  const std::string out = folder_.path("out");
  for (const bool existed : {false, true}) {
    auto file = OutputFile::create(out);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("ours"));
    folder_.write("theirs", "theirs");
    std::filesystem::rename(folder_.path("theirs"), out);
    const Status status = file->commit();
    expect_refused(status, ErrorKind::kFailed, "another program has written it");
    EXPECT_EQ(TempDir::read(out), "theirs") << existed;
    const std::string& message = status.error().message;
    EXPECT_EQ(TempDir::read(message.substr(message.rfind(' ') + 1)), "ours");
  }
}

TEST_F(FileGuard, ALinkStaysOne) {
  ASSERT_TRUE(write(folder_.path("symbolic")));
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.path("symbolic")));
  EXPECT_EQ(TempDir::read(in()), "output");
  EXPECT_EQ(TempDir::read(folder_.path("hard")), "input");
}

TEST_F(FileGuard, WhatCannotBeMadeIsFoundOutWhenItIsClaimed) {
  const std::size_t before = num_files();
  FileScope files;
  for (const std::string& name : {std::string(), folder_.path("sub"), folder_.path("sub/"), folder_.path("no/out"),
                                  std::string("/dev/null"), folder_.path(std::string(300, 'x'))}) {
    const Status status = files.claim(name);
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().kind, ErrorKind::kBadInput) << name;
  }
  EXPECT_EQ(num_files(), before);
}

}  // namespace
}  // namespace kvplace
