/// The loops of move_kernel.h; included once per instruction set, inside an anonymous namespace.

template <class Sum>
Sum move_near(const BlockCosts& blocks, const Moves& moves) {
  const Moves by = moves;
  const std::size_t count = blocks.count;
  std::int64_t* const near = blocks.near;
  Sum more = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t far = std::min(by.far_to_far, near[i] + by.near_to_far);
    near[i] = std::min(by.far_to_near, near[i] + by.near_to_near) - far;
    more += far;
  }
  return more;
}

/// `again`: a block may leave and begin to arrive.
template <class Sum, bool again>
Sum move_arriving(const BlockCosts& blocks, const Moves& moves) {
  const Moves by = moves;
  const std::size_t count = blocks.count;
  std::int64_t* const near = blocks.near;
  std::int64_t* const arriving = blocks.arriving;
  Sum more = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t if_far = std::min(std::int64_t{0}, arriving[i]);  // given up before the first of the moves
    std::int64_t arrives = std::min(if_far + by.far_to_near, arriving[i] + by.arriving_to_near);
    if constexpr (again) {
      arrives = std::min(arrives, near[i] + by.near_to_arriving);
    }
    const std::int64_t far = std::min(if_far + by.far_to_far, near[i] + by.near_to_far);
    near[i] = std::min(arrives, near[i] + by.near_to_near) - far;
    arriving[i] = arrives - far;
    more += far;
  }
  return more;
}

template <class Sum>
Sum move_blocks(const BlockCosts& blocks, const Moves& moves) {
  if (blocks.arriving == nullptr) {
    return move_near<Sum>(blocks, moves);
  }
  return moves.near_to_arriving == Moves::kNever ? move_arriving<Sum, false>(blocks, moves)
                                                 : move_arriving<Sum, true>(blocks, moves);
}
