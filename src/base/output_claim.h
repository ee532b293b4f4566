/// Inputs and outputs in use, behind kvplace/base/file_guard.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/file_identity.h"
#include "base/output_lock.h"
#include "kvplace/base/file_guard.h"

namespace kvplace {

/// Why a file must not be replaced.
enum class FileRole : std::uint8_t {
  kOpenInput,  ///< it is being read
  kInput,      ///< it was read, within a scope that lives or for something that does
  kOutput,     ///< it was made within a scope that lives
};

/// A file that no output replaces as long as this lives; of nothing if made without one.
class HeldFile {
 public:
  HeldFile() = default;
  /// `name` is what the user calls it.
  HeldFile(const FileIdentity& identity, const std::string& name, FileRole role);
  HeldFile(HeldFile&& other) noexcept;
  HeldFile& operator=(HeldFile&& other) noexcept;
  ~HeldFile();

 private:
  std::uint64_t key_ = 0;
};

/// The place that an output goes to: a name in a folder, links followed.
struct OutputTarget {
  FileIdentity folder;
  std::string name;
  std::string path;                    ///< behind all symbolic links, so that a link stays one
  std::optional<FileIdentity> exists;  ///< the file that is there; none if there is none

  /// By place, or by a hard link to what is there.
  [[nodiscard]] bool same_as(const OutputTarget& other) const {
    return (folder == other.folder && name == other.name) || (exists && exists == other.exists);
  }
};

/// The right to write an output, held while this lives.
struct OutputClaim {
  std::string path;     ///< as the user calls it
  OutputTarget target;  ///< its file: that which was there at first, then the output itself
  OutputLock lock;
  bool may_be_read = false;  ///< it is updated, or holds an output by now
};

/// The claim of a scope of this thread on `path`; else a new one. Errors as FileScope::claim.
[[nodiscard]] Result<std::shared_ptr<OutputClaim>> claim_of(const std::string& path);

/// `claim`'s file was just put into place: no longer the one that was there at first. REQUIRES: called after the
/// rename.
void note_output(OutputClaim& claim);

/// An opened file is an input: of the scopes of this thread to their ends, and as long as what this returns lives. Bad
/// input if one of them is about to write it.
[[nodiscard]] Result<HeldFile> note_input(int descriptor, const std::string& path);

}  // namespace kvplace
