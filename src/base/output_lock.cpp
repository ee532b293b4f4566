#include "base/output_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file_identity.h"

namespace kvplace {

Result<OutputLock> OutputLock::acquire(const std::string& target, const std::string& name) {
  const std::filesystem::path file(target);
  std::string path = (file.parent_path() / ("." + file.filename().string() + ".lock")).string();
  while (true) {
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0) {
      return bad_input(name + ": cannot be created: " + std::strerror(errno));
    }
    OutputLock lock(path, descriptor);
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      lock.descriptor_ = -1;  // not ours to remove
      close(descriptor);
      return failed(name +
                    ": is being written already, by another run or by this one; wait for its end or give this output "
                    "another name");
    }
    // The run that held it may have removed it in between: then this lock is on a file that nobody else will find.
    if (identity_of(path) == identity_of(descriptor)) {
      return lock;
    }
    lock.descriptor_ = -1;
    close(descriptor);
  }
}

OutputLock::OutputLock(OutputLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputLock::~OutputLock() {
  if (descriptor_ >= 0) {
    unlink(path_.c_str());  // while it is still held
    close(descriptor_);
  }
}

}  // namespace kvplace
