/// Which files are inputs and which are outputs, so that no output takes the place of an input, of another output, or
/// of what another run writes at the same time.
///
/// The library opens every input and makes every output through src/base/file.h, which asks here: code that reads and
/// writes need not think of it. What it decides early, before long work, is claimed in a FileScope. A file is the same
/// by any path and any link to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kvplace/base/result.h"

namespace kvplace {

class HeldFile;

/// A file is an input, which no output of this process replaces, as long as this lives. Thread safe.
class InputUse {
 public:
  /// Of nothing if there is no such file.
  explicit InputUse(const std::string& path);
  InputUse(InputUse&&) noexcept;
  InputUse& operator=(InputUse&&) noexcept;
  ~InputUse();

 private:
  std::unique_ptr<HeldFile> file_;
};

enum class OutputMode : std::uint8_t {
  kReplaces,  ///< what the file was before is not read
  kUpdates,   ///< what it holds is read first: a certificate that a search goes on from
};

/// What one call reads and writes, on the thread that made this: a command, or a function called from Python. Scopes
/// may be nested; the outer one's outputs may be claimed again within.
///
/// - Every input that is opened while it lives stays one to its end, also if it is closed before that. (Inputs that are
///   open are inputs without any scope.)
/// - An output that was made while it lives is not replaced by another one, unless it was claimed: that may be written
///   as often as is wanted (checkpoints).
class FileScope {
 public:
  FileScope();
  FileScope(const FileScope&) = delete;
  FileScope& operator=(const FileScope&) = delete;
  ~FileScope();

  /// `path` will be written to: finds out now what would else be found out when it is. Others cannot write it until the
  /// scope ends. Bad input if it is an input, another output of the scope, no ordinary file, or in a folder that cannot
  /// be written to; failed if another run writes it.
  [[nodiscard]] Status claim(const std::string& path, OutputMode mode = OutputMode::kReplaces);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

/// Makes an output of what was made in memory; it appears only when it is complete.
[[nodiscard]] Status write_output(const std::string& path, std::string_view data);

}  // namespace kvplace
