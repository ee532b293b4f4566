/// The paper's machine without its preset, so that tests do not depend on data that may be corrected.
#pragma once

#include "kvplace/instance/instance.h"

namespace kvplace::testing {

inline Hardware paper_machine() {
  Hardware hardware;
  hardware.name = "paper";
  hardware.near.capacity = Bytes(std::int64_t{1} << 40);
  hardware.near.bandwidth.spec = BytesPerSecond(4900e9);
  hardware.far.capacity = Bytes(std::int64_t{1} << 40);
  hardware.far.bandwidth.spec = BytesPerSecond(500e9);
  hardware.far.link_read.spec = BytesPerSecond(450e9);
  hardware.far.link_write.spec = BytesPerSecond(450e9);
  return hardware;
}

}  // namespace kvplace::testing
