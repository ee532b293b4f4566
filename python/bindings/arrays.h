/// Arrays from C++ to numpy, without a copy.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "kvplace/base/units.h"

namespace kvplace::python {

template <class T>
using NumpyArray = nanobind::ndarray<nanobind::numpy, T>;

/// A numpy array that owns what was in `values`. REQUIRES: the product of `shape` is values.size().
template <class T>
NumpyArray<T> to_numpy(std::vector<T>&& values, std::initializer_list<std::size_t> shape) {
  auto kept = std::make_unique<std::vector<T>>(std::move(values));
  T* const data = kept->data();
  nanobind::capsule owner(kept.get(), [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  static_cast<void>(kept.release());
  return NumpyArray<T>(data, shape, owner);
}

/// A read-only numpy view of ids that `owner` keeps alive.
inline NumpyArray<const std::uint32_t> view_of(std::span<const BlockId> ids, nanobind::handle owner) {
  static_assert(sizeof(BlockId) == sizeof(std::uint32_t));
  return {reinterpret_cast<const std::uint32_t*>(ids.data()), {ids.size()}, owner};
}
inline NumpyArray<const std::uint32_t> view_of(std::span<const std::uint32_t> numbers, nanobind::handle owner) {
  return {numbers.data(), {numbers.size()}, owner};
}

}  // namespace kvplace::python
