#include "kvplace/base/file_guard.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "base/output_claim.h"

namespace kvplace {
namespace {

struct FileInUse {
  FileIdentity identity;
  std::string absolute;
  std::string name;  ///< as the user calls it
  FileRole role = FileRole::kInput;
};

/// All files in use of the process.
class FileTable {
 public:
  static FileTable& instance() {
    static FileTable table;
    return table;
  }

  std::uint64_t add(const FileIdentity& identity, const std::string& name, FileRole role) {
    std::error_code ignored;
    const std::string absolute = std::filesystem::absolute(name, ignored).string();
    const std::lock_guard lock(mutex_);
    files_.emplace(++last_key_, FileInUse{identity, absolute, name, role});
    return last_key_;
  }
  void remove(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    files_.erase(key);
  }
  /// A file that is not open may have been deleted and have left its inode to another one: the file system is asked.
  [[nodiscard]] std::optional<FileInUse> find(const FileIdentity& identity) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, file] : files_) {
      const bool same = file.identity == identity;
      if (same && (file.role == FileRole::kOpenInput || identity_of(file.absolute) == identity)) {
        return file;
      }
    }
    return std::nullopt;
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t last_key_ = 0;
  std::map<std::uint64_t, FileInUse> files_;
};

tl::unexpected<Error> is_input(const std::string& output, const std::string& input) {
  return bad_input(output + ": is the input as well" + (input == output ? "" : " (" + input + ")") +
                   "; give the output another name");
}

tl::unexpected<Error> is_two_outputs(const std::string& path, const std::string& other) {
  return bad_input(path + ": is the name of two outputs" + (other == path ? "" : " (" + other + ")") +
                   "; give each a name of its own");
}

/// /dev/stdout and its like: links of the system, which must not be replaced by an output.
bool stands_for_an_open_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto in_proc = [](const std::filesystem::path& p) { return p.native().starts_with("/proc/"); };
  return in_proc(std::filesystem::read_symlink(path, error)) ||
         in_proc(std::filesystem::weakly_canonical(std::filesystem::absolute(path, error).parent_path(), error));
}

Result<OutputTarget> target_of(const std::string& path) {
  if (path.empty()) {
    return bad_input("the output has no name");
  }
  std::error_code error;
  std::filesystem::path file(path);
  constexpr int kMostLinks = 40;
  bool is_open_file = stands_for_an_open_file(file);
  for (int i = 0; i < kMostLinks && !is_open_file && std::filesystem::is_symlink(file, error); ++i) {
    file = file.parent_path() / std::filesystem::read_symlink(file, error);
    is_open_file = stands_for_an_open_file(file);
  }
  if (is_open_file || !file.has_filename() ||
      (std::filesystem::exists(file, error) && !std::filesystem::is_regular_file(file, error))) {
    return bad_input(path + ": is no ordinary file, so it cannot be replaced by the output");
  }
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  const std::optional<FileIdentity> there = identity_of(folder);
  if (!there) {
    return bad_input(path + ": cannot be created: " + std::strerror(errno));
  }
  return OutputTarget{*there, file.filename().string(), file.string(), identity_of(file.string())};
}

Result<std::shared_ptr<OutputClaim>> make_claim(const std::string& path, OutputTarget target) {
  if (target.exists) {
    if (const std::optional<FileInUse> used = FileTable::instance().find(*target.exists)) {
      return used->role == FileRole::kOutput ? is_two_outputs(path, used->name) : is_input(path, used->name);
    }
  }
  KVPLACE_ASSIGN(lock, OutputLock::acquire(target.path, path));
  // Between the first look and the lock another run may have put its output there.
  target.exists = identity_of(target.path);
  return std::make_shared<OutputClaim>(OutputClaim{path, std::move(target), std::move(lock)});
}

/// The innermost scope of the thread.
thread_local FileScope::State* innermost = nullptr;

}  // namespace

HeldFile::HeldFile(const FileIdentity& identity, const std::string& name, FileRole role)
    : key_(FileTable::instance().add(identity, name, role)) {}

HeldFile::HeldFile(HeldFile&& other) noexcept : key_(std::exchange(other.key_, 0)) {}

HeldFile& HeldFile::operator=(HeldFile&& other) noexcept {
  std::swap(key_, other.key_);
  return *this;
}

HeldFile::~HeldFile() {
  if (key_ != 0) {
    FileTable::instance().remove(key_);
  }
}

struct FileScope::State {
  State* outer = nullptr;
  std::map<FileIdentity, HeldFile> held;  // inputs, and outputs that were not claimed
  std::vector<std::shared_ptr<OutputClaim>> claims;
};

namespace {

std::shared_ptr<OutputClaim> find_claim(const FileScope::State* from, const OutputTarget& target) {
  for (const FileScope::State* scope = from; scope != nullptr; scope = scope->outer) {
    for (const std::shared_ptr<OutputClaim>& claim : scope->claims) {
      if (claim->target.same_as(target)) {
        return claim;
      }
    }
  }
  return nullptr;
}

}  // namespace

InputUse::InputUse(const std::string& path) {
  if (const std::optional<FileIdentity> identity = identity_of(path)) {
    file_ = std::make_unique<HeldFile>(*identity, path, FileRole::kInput);
  }
}

InputUse::InputUse(InputUse&&) noexcept = default;
InputUse& InputUse::operator=(InputUse&&) noexcept = default;
InputUse::~InputUse() = default;

FileScope::FileScope() : state_(std::make_unique<State>()) { state_->outer = std::exchange(innermost, state_.get()); }

FileScope::~FileScope() { innermost = state_->outer; }

Status FileScope::claim(const std::string& path, OutputMode mode) {
  KVPLACE_ASSIGN(target, target_of(path));
  for (const std::shared_ptr<OutputClaim>& other : state_->claims) {
    if (other->target.same_as(target)) {
      return is_two_outputs(path, other->path);
    }
  }
  std::shared_ptr<OutputClaim> claim = find_claim(state_->outer, target);
  if (claim == nullptr) {
    KVPLACE_ASSIGN(made, make_claim(path, std::move(target)));
    claim = std::move(made);
  }
  claim->may_be_read = claim->may_be_read || mode == OutputMode::kUpdates;
  state_->claims.push_back(std::move(claim));
  return {};
}

Result<std::shared_ptr<OutputClaim>> claim_of(const std::string& path) {
  KVPLACE_ASSIGN(target, target_of(path));
  std::shared_ptr<OutputClaim> claim = find_claim(innermost, target);
  if (claim == nullptr) {
    return make_claim(path, std::move(target));
  }
  return claim;
}

void note_output(OutputClaim& claim) {
  claim.target.exists = identity_of(claim.target.path);
  claim.may_be_read = true;
  if (innermost != nullptr && claim.target.exists && find_claim(innermost, claim.target) == nullptr) {
    innermost->held.insert_or_assign(*claim.target.exists,
                                     HeldFile(*claim.target.exists, claim.path, FileRole::kOutput));
  }
}

Result<HeldFile> note_input(int descriptor, const std::string& path) {
  const std::optional<FileIdentity> identity = identity_of(descriptor);
  if (!identity) {
    return HeldFile();
  }
  for (FileScope::State* scope = innermost; scope != nullptr; scope = scope->outer) {
    for (const std::shared_ptr<OutputClaim>& claim : scope->claims) {
      if (claim->target.exists == identity && !claim->may_be_read) {
        return is_input(claim->path, path);
      }
    }
    scope->held.try_emplace(*identity, *identity, path, FileRole::kInput);
  }
  return HeldFile(*identity, path, FileRole::kOpenInput);
}

}  // namespace kvplace
