/// Pieces of a file through io_uring.
#pragma once

#include <liburing.h>

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvplace/runtime/memory.h"

namespace kvplace {

class UringQueue {
 public:
  /// `base`: of offset 0 in the file. The descriptor must outlive the queue. Failed if the system has no io_uring or
  /// does not allow it; the message is the system's reason alone.
  [[nodiscard]] static Result<std::unique_ptr<UringQueue>> make(int descriptor, std::uint64_t base, unsigned depth,
                                                                const std::string& name);
  UringQueue(const UringQueue&) = delete;
  UringQueue& operator=(const UringQueue&) = delete;
  /// Waits for what the kernel has.
  ~UringQueue();

  // As Memory's.
  [[nodiscard]] Status submit(std::span<const Piece> pieces);
  [[nodiscard]] Status collect(std::vector<std::uint64_t>& complete, bool wait);
  [[nodiscard]] std::size_t in_flight() const { return waiting_.size() + num_in_kernel_; }

 private:
  UringQueue(int descriptor, std::uint64_t base, unsigned depth, const std::string& name)
      : descriptor_(descriptor), base_(base), pieces_(depth), name_(name) {}

  /// Hands over as many of those that wait as the kernel may have.
  Status hand_over();
  /// One completion; a piece that moved in part goes on with the rest.
  void take(const io_uring_cqe& cqe, std::vector<std::uint64_t>& complete);
  Status fail(const Piece& piece, const std::string& why);

  io_uring ring_{};
  bool made_ = false;
  int descriptor_;
  std::uint64_t base_;
  std::vector<Piece> pieces_;          // in the kernel, by place
  std::vector<std::uint32_t> places_;  // free ones
  std::deque<Piece> waiting_;
  std::size_t num_in_kernel_ = 0;
  std::string name_;
  std::optional<Error> error_;
};

/// "cannot be read at byte 4096: Input/output error", for a piece of a file.
[[nodiscard]] Error piece_error(const std::string& name, const Piece& piece, const std::string& why);

}  // namespace kvplace
