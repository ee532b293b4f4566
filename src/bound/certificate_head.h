/// The JSON head of a certificate's file (docs/certificate.md, "The head").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvplace/bound/certificate.h"

namespace kvplace {

inline constexpr std::uint32_t kCertificateVersion = 3;
inline constexpr std::uint32_t kOldestCertificate = 2;  ///< that is still read

/// All of a certificate but its prices. Errors are of kind kRejected. `text` has to be what a head of these numbers is
/// written as, byte for byte: so no two readers can take it for different numbers.
[[nodiscard]] Result<Certificate> certificate_of_head(std::string_view text, std::uint32_t version);

}  // namespace kvplace
